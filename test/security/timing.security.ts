import { expect, test } from 'vitest';
import { createHmac } from 'node:crypto';
import { equalSecrets } from '../../src/http/auth/secrets.ts';
import { verifySignature } from '../../src/providers/cloud/statuses.ts';

const SAMPLES = 100_000;
/** Runs per sample: one comparison is shorter than the clock's step. */
const RUNS = 8;

/** Welch's t of two series, after cutting off the slowest part, which is the machine's doing. */
function welch(a: Float64Array, b: Float64Array): number {
  const cut = (series: Float64Array) =>
    series
      .slice()
      .sort()
      .subarray(0, Math.floor(series.length * 0.9));
  const moments = (series: Float64Array) => {
    const mean = series.reduce((sum, one) => sum + one, 0) / series.length;
    const variance = series.reduce((sum, one) => sum + (one - mean) ** 2, 0) / (series.length - 1);
    return { mean, variance, count: series.length };
  };
  const [one, other] = [moments(cut(a)), moments(cut(b))];
  return (one.mean - other.mean) / Math.sqrt(one.variance / one.count + other.variance / other.count);
}

function measure(right: () => boolean, wrong: () => boolean): number {
  const times = [new Float64Array(SAMPLES), new Float64Array(SAMPLES)] as const;
  const time = (work: () => boolean) => {
    const startedAt = process.hrtime.bigint();
    for (let run = 0; run < RUNS; run++) work();
    return Number(process.hrtime.bigint() - startedAt);
  };
  for (let warmUp = 0; warmUp < 5000; warmUp++) {
    right();
    wrong();
  }
  for (let sample = 0; sample < SAMPLES; sample++) {
    // In turns and in changing order: whatever slows the machine slows both.
    const first = (sample * 2_654_435_761) % 7 < 3;
    const [a, b] = first ? [right, wrong] : [wrong, right];
    const [ta, tb] = [time(a), time(b)];
    times[0][sample] = first ? ta : tb;
    times[1][sample] = first ? tb : ta;
  }
  return welch(...times);
}

const KEY = `wx_${'k'.repeat(43)}`;
const body = Buffer.from('{"object":"whatsapp_business_account"}');
const signature = createHmac('sha256', 'app secret').update(body).digest('hex');

test.each<[string, () => boolean, () => boolean]>([
  ['a key', () => equalSecrets(`${KEY.slice(0, -1)}x`, KEY), () => equalSecrets(`x${KEY.slice(1)}`, KEY)],
  [
    'a signature',
    () =>
      verifySignature(body, `sha256=${signature.slice(0, -1)}${signature.endsWith('0') ? '1' : '0'}`, ['app secret']),
    () => verifySignature(body, `sha256=${signature.startsWith('0') ? '1' : '0'}${signature.slice(1)}`, ['app secret']),
  ],
])('F51 · the time of comparing %s does not tell how much of it was right', (what, nearlyRight, wrong) => {
  expect([nearlyRight(), wrong()]).toEqual([false, false]);
  // A machine with other work gives a chance difference now and then; a real one shows every time.
  const rounds = [0, 1, 2].map(() => Math.abs(measure(nearlyRight, wrong)));
  const t = Math.min(...rounds);
  console.log(`F51: ${what}: |t| ${rounds.map((one) => one.toFixed(2)).join(', ')} over ${SAMPLES} samples each`);
  expect(t).toBeLessThan(4.5);
});

import { createHmac } from 'node:crypto';
import { equalSecrets } from '../../../src/http/auth/secrets.ts';
import { verifySignature } from '../../../src/providers/cloud/statuses.ts';

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
    // In turns, each as often first as second: the second finds warmer caches.
    const first = sample % 2 === 0;
    const [a, b] = first ? [right, wrong] : [wrong, right];
    const [ta, tb] = [time(a), time(b)];
    times[0][sample] = first ? ta : tb;
    times[1][sample] = first ? tb : ta;
  }
  return welch(...times);
}

// Made once: building a text takes longer than comparing it, and differs with where the wrong letter stands.
const flat = (text: string) => Buffer.from(text).toString();
const KEY = flat(`wx_${'k'.repeat(43)}`);
const [lateKey, earlyKey] = [flat(`${KEY.slice(0, -1)}x`), flat(`x${KEY.slice(1)}`)];
const body = Buffer.from('{"object":"whatsapp_business_account"}');
const secrets = ['app secret'];
const right = createHmac('sha256', 'app secret').update(body).digest('hex');
const other = (digit: string) => (digit === '0' ? '1' : '0');
const late = flat(`sha256=${right.slice(0, -1)}${other(right.slice(-1))}`);
const early = flat(`sha256=${other(right.slice(0, 1))}${right.slice(1)}`);

const CASES: Readonly<Record<string, readonly [nearlyRight: () => boolean, wrong: () => boolean]>> = {
  'a key': [() => equalSecrets(lateKey, KEY), () => equalSecrets(earlyKey, KEY)],
  'a signature': [() => verifySignature(body, late, secrets), () => verifySignature(body, early, secrets)],
};

/* One round in a process of its own: `timing-round.ts <case>` prints t, the longer for what is nearly right the larger. */

const [nearlyRight, wrong] = CASES[process.argv[2] ?? ''] ?? [];
if (nearlyRight === undefined || wrong === undefined) throw new Error(`One of: ${Object.keys(CASES).join(', ')}`);
if (nearlyRight() || wrong()) throw new Error('Both must be refused.');
console.log(measure(nearlyRight, wrong));

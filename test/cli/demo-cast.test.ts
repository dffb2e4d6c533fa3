import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CAST, TROUBLES } from '../../src/cli/demo/cast.ts';

/** What WhatsApp lets one person have in the long run, and what is left of it for repetitions and chance. */
const PAIR_PER_SECOND = 1 / 6;
const ROOM = 0.75;

describe('the traffic of the demo', () => {
  it('leaves every customer below the pace of a pair, so that nothing piles up however long it runs', () => {
    for (const { id, rate, customers } of CAST)
      expect(rate / customers.length, id).toBeLessThan(PAIR_PER_SECOND * ROOM);
  });

  it('has no trouble in store for those to whom the README and the demo tell people to write', () => {
    const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
    const written = readme.match(/"to":"(\+\d+)"/)?.[1];
    const troubled: readonly string[] = TROUBLES.map(({ recipient }) => recipient);
    expect(CAST.flatMap(({ customers }) => customers.map(({ phone }) => phone))).toContain(written);
    expect(troubled).not.toContain(written);
    expect(troubled).not.toContain('+447700900100');
  });
});

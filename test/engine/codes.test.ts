import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeAccepts, encodeAccepts } from '../../src/engine/accept-code.ts';
import type { Grant, Settlement, SettleRequest } from '../../src/engine/contract.ts';
import { encodeSettle } from '../../src/engine/settle-code.ts';
import { FAILURE, message, SENT } from './support/bench.ts';

/** The arguments of one message behind those of the windows. */
function argsOf(wish: Parameters<typeof message>[0]): string[] {
  const [windows, ...args] = encodeAccepts([message(wish)]).map(String);
  return args.slice(2 * Number(windows));
}

const GRANT: Grant = {
  shard: 0,
  entry: '7-0',
  lane: { sender: 's1', tenant: 't1', conversation: 'c|1' },
  messageId: 'm1',
  attempt: 1,
  counted: 0,
  deferrals: 0,
  contact: 'k',
  expiresAtMs: null,
  body: '{}',
};
const settle = (settlement: Settlement, more: Partial<SettleRequest> = {}) =>
  encodeSettle({ grant: GRANT, settlement, report: null, ...more }, 30_000).map(String);

describe('What the accept script is given and answers', () => {
  it('a message without times and key is its lane, its text and its limits', () => {
    const [lane, text, rare, limits] = argsOf({ id: 'i', contact: '+49', priority: 7 });
    expect([lane, rare, limits]).toEqual(['s1|t1|c1', '', '1000|1|1000000']);
    expect(text).toMatch(/^7\|\|i\|\|\+49\|[0-9a-f]{8}\{/);
  });

  it('times and key stand in one argument, all of it text', () => {
    const id = '01a20622-c81d-79e8-9d25-e99502c02c41';
    const [, text, rare] = argsOf({ id, sendAtMs: 5, expiresAtMs: 9, key: 'k' });
    expect(text).toMatch(/^5\|9\|01a20622-/);
    expect(rare).toMatch(/^[\w-]{44}\|5\|9$/);
    expect(argsOf({ id, key: 'k' })[2]).toBe(rare?.slice(0, 44));
    expect(argsOf({ id, sendAtMs: 5 })[2]).toBe('|5|');
    expect(argsOf({ id, expiresAtMs: 9 })[2]).toBe('||9');
  });

  it('ids of one window share a field of the index, others have their own', () => {
    const [count, ...rest] = encodeAccepts(
      [
        '01a20622-c8aa-7000-8000-00000000000a',
        '01a20622-c8bb-7000-8000-00000000000b',
        '01a20622-c9aa-7000-8000-00000000000c',
      ].map((id) => message({ id })),
    );
    expect(count).toBe(2);
    expect(rest.slice(0, 4)).toEqual(['01a20622c8', '00000000000a|00000000000b', '01a20622c9', '00000000000c']);
  });

  it('the id of a first message comes back whole, whatever it is, to the one that repeats it', () => {
    fc.assert(
      fc.property(fc.uuid(), (id) => {
        const short = argsOf({ id, key: 'k' })[2]?.slice(-22) ?? '';
        const [dueMs, resultOf] = decodeAccepts([-1, '13524', short, short]);
        expect(dueMs).toBe(-1);
        expect(resultOf('own', 0)).toEqual({ kind: 'accepted', id: 'own', immediate: false });
        expect(resultOf('own', 1)).toEqual({ kind: 'duplicate', id });
        expect(resultOf('own', 2)).toEqual({ kind: 'backlog-full' });
        expect(resultOf('own', 3)).toEqual({ kind: 'accepted', id: 'own', immediate: true });
        expect(resultOf('own', 4)).toEqual({ kind: 'key-reused', id });
      }),
    );
    expect(decodeAccepts([0, '6'])[1]('own', 0)).toBeNull();
    expect(() => decodeAccepts([0, '9'])[1]('own', 0)).toThrow('unknown code 9');
  });
});

describe('What the exchange script is given of an outcome', () => {
  it('a message that was sent is one letter, beside the text of its event', () => {
    expect(settle(SENT)).toEqual(['s1|t1|c|1', 'm1', '7-0', 'S', 'm1|{"providerMessageId":"wamid.1","report":null}']);
    expect(settle({ kind: 'failed', error: FAILURE })[3]).toBe('F');
    expect(settle({ kind: 'unknown' })[3]).toBe('U');
    expect(settle({ kind: 'unstarted' })[3]).toBe('B');
  });

  it.each<[string, Settlement, Partial<SettleRequest>]>([
    ['R|1500|1|', { kind: 'retry', delayMs: 1500.4, counted: true }, {}],
    ['R|0|1|', { kind: 'retry', delayMs: 0, counted: true }, {}],
    [
      'R|0|0|P4000,16000',
      { kind: 'retry', delayMs: 0, counted: false, brake: { on: 'pair', waitsMs: [4000, 16_000] } },
      {},
    ],
    ['R|0|0|N1000', { kind: 'retry', delayMs: 0, counted: false, brake: { on: 'sender-rate', waitMs: 1000 } }, {}],
    [
      'R|0|0|SA token | is gone',
      { kind: 'retry', delayMs: 0, counted: false, brake: { on: 'sender', reason: 'A token | is gone' } },
      {},
    ],
    [
      'R|0|0|Twelcome',
      { kind: 'retry', delayMs: 0, counted: false, brake: { on: 'template', template: 'welcome' } },
      {},
    ],
    ['D|60000|1|', { kind: 'deferred', delayMs: 60_000, block: true }, {}],
    ['D|60000|0|', { kind: 'deferred', delayMs: 60_000, block: false }, {}],
    ['S-5000|0|0|', SENT, { badHealth: { opens: false, openMs: 5000 } }],
    ['U!5000|0|0|', { kind: 'unknown' }, { badHealth: { opens: true, openMs: 5000 } }],
  ])('%s', (outcome, settlement, more) => {
    expect(settle(settlement, more)[3]).toBe(outcome);
  });
});

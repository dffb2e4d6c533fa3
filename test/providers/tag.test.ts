import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeTag, readTag } from '../../src/providers/tag.ts';
import { newId } from '../../src/util/ids.ts';

const KEY = Buffer.from('0123456789abcdef0123456789abcdef');
const content = { messageId: newId(), attempt: 3 };

describe('tag', () => {
  it('comes back as it was made', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 999_999_999 }), (attempt) => {
        const tag = makeTag({ messageId: content.messageId, attempt }, KEY);
        expect(tag.length).toBeLessThanOrEqual(80);
        expect(readTag(tag, KEY)).toEqual({ messageId: content.messageId, attempt });
      }),
    );
  });

  it('has the form v1.<message id>.<attempt>.<8 bytes of HMAC>', () => {
    expect(makeTag(content, KEY)).toMatch(new RegExp(`^v1\\.${content.messageId}\\.3\\.[A-Za-z0-9_-]{11}$`));
  });

  it('carries the hand-over of its attempt', () => {
    const tag = makeTag({ ...content, entry: '1732230000000-17' }, KEY);
    expect(readTag(tag, KEY)).toEqual({ ...content, entry: '1732230000000-17' });
    expect(readTag(tag.replace('-17', '-18'), KEY)).toBeNull();
    expect(readTag(makeTag({ ...content, entry: 'none' }, KEY), KEY)).toBeNull();
  });

  it('is refused with another key', () => {
    expect(readTag(makeTag(content, KEY), Buffer.from('another key'))).toBeNull();
  });

  it('is refused after any change of one character', () => {
    const tag = makeTag(content, KEY);
    for (let at = 0; at < tag.length; at++) {
      for (const other of ['0', '1', 'a', 'B', '.', '_', '=']) {
        if (tag.charAt(at) === other) continue;
        expect(readTag(tag.slice(0, at) + other + tag.slice(at + 1), KEY)).toBeNull();
      }
    }
  });

  it('foreign texts are not ours', () => {
    const tag = makeTag(content, KEY);
    for (const text of ['', 'v1', 'order-42', `${tag}.x`, ` ${tag}`, `${tag}\n`, 'v1....', tag.repeat(1_000)]) {
      expect(readTag(text, KEY)).toBeNull();
    }
    fc.assert(fc.property(fc.string({ maxLength: 200 }), (text) => readTag(text, KEY) === null));
  });

  it('an attempt that is no number from 1 is refused even when it is signed', () => {
    for (const attempt of [0, -1, 1.5, Number.NaN, 1e21]) {
      expect(readTag(makeTag({ messageId: content.messageId, attempt }, KEY), KEY)).toBeNull();
    }
  });
});

import { describe, expect, it } from 'vitest';
import { createSecretBox, SecretBoxError } from '../../src/util/secret-box.ts';

const KEY = 'a key of more than sixteen characters';
const OTHER = 'another key of more than sixteen characters';

describe('secret box', () => {
  it('opens what it sealed, in the same context', () => {
    const box = createSecretBox({ key: KEY });
    for (const secret of ['', 'EAAG-token', 'ünïcödé 🔑', 'x'.repeat(10_000)]) {
      expect(box.open(box.seal(secret, 'sender:a'), 'sender:a')).toBe(secret);
    }
  });

  it('holds nothing of the plaintext and never gives the same envelope twice', () => {
    const box = createSecretBox({ key: KEY });
    const first = box.seal('EAAG-token', 'sender:a');
    expect(first.includes('EAAG')).toBe(false);
    expect(first.equals(box.seal('EAAG-token', 'sender:a'))).toBe(false);
  });

  it('does not open in another context', () => {
    const box = createSecretBox({ key: KEY });
    const envelope = box.seal('EAAG-token', 'sender:a');
    expect(() => box.open(envelope, 'sender:b')).toThrow(SecretBoxError);
  });

  it('does not open when any one byte was changed', () => {
    const box = createSecretBox({ key: KEY });
    const envelope = box.seal('EAAG-token', 'sender:a');
    for (let index = 0; index < envelope.length; index++) {
      const changed = Buffer.from(envelope);
      changed[index] = (changed[index] ?? 0) ^ 1;
      expect(() => box.open(changed, 'sender:a'), `byte ${index}`).toThrow(SecretBoxError);
    }
    expect(() => box.open(envelope.subarray(0, 20), 'sender:a')).toThrow(SecretBoxError);
    expect(() => box.open(Buffer.alloc(0), 'sender:a')).toThrow(SecretBoxError);
  });

  it('opens envelopes of an earlier key while keys are rotated, and tells them from current ones', () => {
    const old = createSecretBox({ key: KEY }).seal('EAAG-token', 'sender:a');
    const rotated = createSecretBox({ key: OTHER, previousKeys: [KEY] });
    expect(rotated.open(old, 'sender:a')).toBe('EAAG-token');
    expect(rotated.isCurrent(old)).toBe(false);
    const renewed = rotated.seal('EAAG-token', 'sender:a');
    expect(rotated.isCurrent(renewed)).toBe(true);
    expect(createSecretBox({ key: OTHER }).open(renewed, 'sender:a')).toBe('EAAG-token');
  });

  it('says what to do when the key is missing, without a word of any secret', () => {
    const envelope = createSecretBox({ key: KEY }).seal('EAAG-token', 'sender:a');
    const box = createSecretBox({ key: OTHER });
    expect(() => box.open(envelope, 'sender:a')).toThrow(/WAXWING_SECRET_KEY/);
    expect(() => box.open(envelope, 'sender:a')).not.toThrow(/EAAG|sixteen characters/);
  });

  it('refuses a short key', () => {
    expect(() => createSecretBox({ key: 'short' })).toThrow(SecretBoxError);
  });
});

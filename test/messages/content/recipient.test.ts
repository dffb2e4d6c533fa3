import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalContact, parseRecipient, recipientSchema } from '../../../src/messages/content/index.ts';

describe('parseRecipient()', () => {
  it.each([
    ['+4915112345678', '+4915112345678'],
    ['+49 151 1234-5678', '+4915112345678'],
    ['+49 (0)151 12345678', '+4915112345678'],
    ['  +1 (555) 123-4567 ', '+15551234567'],
    ['+966501234567', '+966501234567'],
    ['+551187654321', '+551187654321'],
    ['+554784178525', '+554784178525'],
    ['+5491123456789', '+5491123456789'],
    ['+54 11 15 2345-6789', '+5491123456789'],
    ['+5215512345678', '+5215512345678'],
    ['+39 06 1234567', '+39061234567'],
  ])('%s is sent to %s', (to, e164) => {
    expect(parseRecipient(to)).toMatchObject({ ok: true, e164 });
  });

  it.each([
    '4915187654321',
    '004915187654321',
    '015112345678',
    '',
    '+',
    '+12',
    '+4',
    '+999123456789',
    '+1555123456789012345',
    '+49151123456789012345',
    'whatsapp:+4915112345678',
    '+49151abc45678',
    '+4915112345678;ext=5',
    '+4915112345678\u0000',
    '++4915112345678',
    `+49151${' '.repeat(100)}12345678`,
  ])('%j is refused with a sentence that does not repeat it', (to) => {
    const parsed = parseRecipient(to);
    expect(parsed.ok).toBe(false);
    if (!parsed.ok) {
      expect(parsed.sentence).toMatch(/^[A-Z].*\.$/);
      if (to.length > 8) expect(parsed.sentence).not.toContain(to);
    }
  });

  it('asks for the + when only that is missing', () => {
    expect(parseRecipient('4915187654321')).toMatchObject({
      sentence: expect.stringContaining('start with +') as string,
    });
  });

  it('gives E.164 or a refusal for anything', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...Array.from('+0123456789 ()-.٣')), maxLength: 30 }), (to) => {
        const parsed = parseRecipient(to);
        if (parsed.ok) expect(parsed.e164).toMatch(/^\+[1-9]\d{5,14}$/);
      }),
    );
  });
});

describe('canonicalContact()', () => {
  it.each([
    ['Brazil, mobile without and with the ninth digit', ['+551187654321', '+5511987654321'], '+5511987654321'],
    ['Brazil, outside the big cities', ['+554784178525', '+5547984178525', '554784178525'], '+5547984178525'],
    ['Mexico, with and without the old 1', ['+5215512345678', '+525512345678', '5215512345678'], '+525512345678'],
    ['Argentina, with and without the 9', ['+5491123456789', '+541123456789', '5491123456789'], '+541123456789'],
  ])('one person, one key: %s', (_title, forms, key) => {
    for (const form of forms) expect(canonicalContact(form)).toBe(key);
  });

  it.each(['+551133334444', '+552122223333', '+4915112345678', '+15551234567', '+521234567', '+549112345'])(
    '%s stays as it is',
    (e164) => {
      expect(canonicalContact(e164)).toBe(e164);
    },
  );

  it('applied again changes nothing, and different people stay different', () => {
    const digits = fc.string({ unit: fc.constantFrom(...Array.from('0123456789')), minLength: 4, maxLength: 13 });
    fc.assert(
      fc.property(fc.constantFrom('55', '52', '54', '521', '549', '49', '1'), digits, (country, rest) => {
        const once = canonicalContact(`+${country}${rest}`);
        expect(canonicalContact(once)).toBe(once);
        // The subscriber's own eight digits are never touched.
        expect(once.slice(-8)).toBe(`+${country}${rest}`.slice(-8));
      }),
      { numRuns: 1_000 },
    );
  });

  it('parseRecipient() gives the same contact for every form of a number', () => {
    const contacts = ['+5215512345678', '+52 55 1234 5678'].map((to) => {
      const parsed = parseRecipient(to);
      return parsed.ok ? parsed.contact : null;
    });
    expect(contacts).toEqual(['+525512345678', '+525512345678']);
  });
});

describe('recipientSchema', () => {
  it('takes business-scoped user ids, also of a parent portfolio', () => {
    for (const id of ['US.13491208655302741918', 'DE.a1B2', 'US.ENT.11815799212886844830', `BR.${'9'.repeat(128)}`]) {
      expect(recipientSchema.safeParse(id).success).toBe(true);
    }
    for (const id of [
      '',
      'US',
      'US.',
      'us.1',
      'USA.1',
      '+4915112345678',
      'US.1 2',
      'US.ENT.',
      `US.${'9'.repeat(129)}`,
      'US.1\n',
    ]) {
      expect(recipientSchema.safeParse(id).success).toBe(false);
    }
  });
});

import { createHash, createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { hasEvolutionJwt, hasEvolutionSecret } from '../../src/providers/evolution/signature.ts';
import { twilioSignature, verifyTwilioSignature } from '../../src/providers/twilio/signature.ts';

describe('X-Twilio-Signature', () => {
  // The worked example of Twilio's own documentation.
  const url = 'https://example.com/myapp.php?foo=1&bar=2';
  const form = {
    Digits: '1234',
    To: '+18005551212',
    From: '+14158675310',
    Caller: '+14158675310',
    CallSid: 'CA1234567890ABCDE',
  };
  const token = '12345';
  const signed = 'L/OH5YylLD5NRKLltdqwSvS0BnU=';
  const rawBody = Buffer.alloc(0);

  it('is what the documentation of Twilio computes', () => {
    expect(twilioSignature(url, form, token)).toBe(signed);
    expect(verifyTwilioSignature({ url, form, rawBody }, signed, ['other', token])).toBe(true);
  });

  it.each<[string, Parameters<typeof verifyTwilioSignature>]>([
    ['another token', [{ url, form, rawBody }, signed, ['54321']]],
    ['no token', [{ url, form, rawBody }, signed, ['']]],
    ['no header', [{ url, form, rawBody }, undefined, [token]]],
    ['an empty header', [{ url, form, rawBody }, '', [token]]],
    ['half a header', [{ url, form, rawBody }, signed.slice(0, 12), [token]]],
    ['another path', [{ url: url.replace('myapp', 'yours'), form, rawBody }, signed, [token]]],
    ['http instead of https', [{ url: url.replace('https', 'http'), form, rawBody }, signed, [token]]],
    ['a changed field', [{ url, form: { ...form, Digits: '1235' }, rawBody }, signed, [token]]],
    ['one field more', [{ url, form: { ...form, X: '' }, rawBody }, signed, [token]]],
    ['no fields', [{ url, form: {}, rawBody }, signed, [token]]],
    ['no address', [{ url: 'nonsense', form, rawBody }, signed, [token]]],
  ])('is refused: %s', (_title, given) => {
    expect(verifyTwilioSignature(...given)).toBe(false);
  });

  it('fits with and without the port', () => {
    const bare = 'https://wax.example/webhooks/whatsapp/twilio/a?tag=1';
    const ported = bare.replace('wax.example', 'wax.example:8443');
    const standard = bare.replace('wax.example', 'wax.example:443');
    const check = (called: string, seen: string) =>
      verifyTwilioSignature({ url: seen, form, rawBody }, twilioSignature(called, form, token), [token]);
    expect([check(bare, ported), check(standard, bare), check(bare, bare)]).toEqual([true, true, true]);
  });

  it('repeated values of a field are signed once each, sorted', () => {
    const many = { A: ['b', 'a', 'b'], B: 'x' };
    const expected = createHmac('sha1', token).update(`${url}AaAbBx`).digest('base64');
    expect(twilioSignature(url, many, token)).toBe(expected);
  });

  it('a JSON body is signed by its digest in the address', () => {
    const body = Buffer.from('{"a":"ä"}');
    const digest = createHash('sha256').update(body).digest('hex');
    const called = `https://wax.example/x?bodySHA256=${digest}`;
    const header = twilioSignature(called, {}, token);
    expect(verifyTwilioSignature({ url: called, form: null, rawBody: body }, header, [token])).toBe(true);
    expect(verifyTwilioSignature({ url: called, form: null, rawBody: Buffer.from('{"a":"b"}') }, header, [token])).toBe(
      false,
    );
    const without = 'https://wax.example/x';
    const bare = twilioSignature(without, {}, token);
    expect(verifyTwilioSignature({ url: without, form: null, rawBody: body }, bare, [token])).toBe(false);
  });
});

describe('the secret of Evolution webhooks', () => {
  it('counts in any of its places, and empty ones never do', () => {
    expect(hasEvolutionSecret([undefined, 'right'], ['', 'old', 'right'])).toBe(true);
    expect(hasEvolutionSecret(['wrong'], ['right'])).toBe(false);
    expect(hasEvolutionSecret(['', undefined], ['', 'right'])).toBe(false);
    expect(hasEvolutionSecret([''], [''])).toBe(false);
    expect(hasEvolutionSecret(['right'], [])).toBe(false);
  });

  const NOW = 1_790_000_000_000;
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  function jwt(claims: unknown, key = 'jwt-key', head: unknown = { alg: 'HS256', typ: 'JWT' }): string {
    const signed = `${part(head)}.${part(claims)}`;
    return `Bearer ${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`;
  }
  const fresh = { exp: NOW / 1000 + 600, app: 'evolution', action: 'webhook' };

  it('a token signed with jwt_key counts while it is valid', () => {
    expect(hasEvolutionJwt(jwt(fresh), ['old', 'jwt-key'], NOW)).toBe(true);
  });

  it.each<[string, string | undefined]>([
    ['expired', jwt({ ...fresh, exp: NOW / 1000 - 61 })],
    ['without an end', jwt({ app: 'evolution' })],
    ['signed with another key', jwt(fresh, 'guess')],
    ['without an algorithm', jwt(fresh, 'jwt-key', { alg: 'none' })],
    ['with another algorithm', jwt(fresh, 'jwt-key', { alg: 'HS512' })],
    ['with changed claims', jwt(fresh).replace(part(fresh), part({ ...fresh, exp: 9_999_999_999 }))],
    ['without a signature', jwt(fresh).replace(/[^.]+$/, '')],
    ['missing', undefined],
    ['no token', 'Bearer x'],
  ])('is refused: %s', (_title, header) => {
    expect(hasEvolutionJwt(header, ['jwt-key'], NOW)).toBe(false);
  });
});

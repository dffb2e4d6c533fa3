import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { cloudReader } from '../../src/providers/cloud/reader.ts';
import { verifySignature } from '../../src/providers/cloud/statuses.ts';
import type { ProviderStatus } from '../../src/providers/contract.ts';

const status = (overrides: Record<string, unknown> = {}): Record<string, unknown> => ({
  id: 'wamid.A',
  status: 'delivered',
  timestamp: '1790000000',
  recipient_id: '4915112345678',
  ...overrides,
});
const change = (value: Record<string, unknown>, field = 'messages'): Record<string, unknown> => ({
  field,
  value: { messaging_product: 'whatsapp', metadata: { phone_number_id: '106', display_phone_number: '1' }, ...value },
});
const payload = (...entries: Record<string, unknown>[][]): Record<string, unknown> => ({
  object: 'whatsapp_business_account',
  entry: entries.map((changes, n) => ({ id: `waba${n}`, changes })),
});

function statusesOf(body: unknown, nowMs = Date.now()): ProviderStatus[] {
  return cloudReader.read(body, nowMs).events.flatMap((event) => (event.kind === 'status' ? [event.status] : []));
}

describe('the Cloud API reader: statuses', () => {
  it('reads one status with its tag', () => {
    const value = {
      statuses: [status({ biz_opaque_callback_data: 'v1.x', conversation: { id: 'c' }, unheard_of: [1] })],
    };
    expect(statusesOf(payload([change(value)]))).toEqual([
      {
        externalSenderId: '106',
        providerMessageId: 'wamid.A',
        status: 'delivered',
        atMs: 1_790_000_000_000,
        tag: 'v1.x',
        error: null,
        more: { recipient_id: '4915112345678', conversation: { id: 'c' }, unheard_of: [1] },
        unknownFields: ['unheard_of'],
      },
    ]);
  });

  it('keeps further errors without what must not show, and notes that a time is ours', () => {
    const errors = [131026, 131000].map((code) => ({ code, message: 'call +49 151 12345678', href: 'https://x' }));
    const [read] = statusesOf(payload([change({ statuses: [status({ errors, timestamp: undefined })] })]), 77);
    expect(read).toMatchObject({ atMs: 77, isTimeOurs: true, error: { providerCode: '131026' } });
    expect(read?.more?.['errors']).toEqual([{ code: 131_000, message: 'call [number]', href: 'https://x' }]);
  });

  it('what is too large to be kept is named, and costs the rest nothing', () => {
    const deep = JSON.parse('['.repeat(100_000) + ']'.repeat(100_000)) as unknown;
    const [read] = statusesOf(payload([change({ statuses: [status({ big: 'x'.repeat(5000), deep, fits: 1 })] })]));
    expect(read?.more).toEqual({ recipient_id: '4915112345678', fits: 1, left_out: ['big', 'deep'] });
    const many = Object.fromEntries(Array.from({ length: 2000 }, (_, index) => [`field${index}`, index]));
    const [crowded] = statusesOf(payload([change({ statuses: [status(many)] })]));
    expect(JSON.stringify(crowded?.more).length).toBeLessThan(6000);
    expect(crowded?.unknownFields).toHaveLength(50);
  });

  it('reads every entry, change and status, in order', () => {
    const many = (prefix: string): Record<string, unknown> =>
      change({ statuses: [status({ id: `${prefix}1` }), status({ id: `${prefix}2` })] });
    const ids = statusesOf(payload([many('a'), many('b')], [many('c')])).map((item) => item.providerMessageId);
    expect(ids).toEqual(['a1', 'a2', 'b1', 'b2', 'c1', 'c2']);
  });

  it('a thousand statuses in one payload', () => {
    const statuses = Array.from({ length: 1_000 }, (_, n) => status({ id: `wamid.${n}` }));
    expect(statusesOf(payload([change({ statuses })]))).toHaveLength(1_000);
  });

  it('explains a failure by the table, with the code of Meta', () => {
    const errors = [
      {
        code: 131047,
        title: 'Re-engagement message',
        message: 'x',
        error_data: { details: 'More than 24 hours' },
        href: 'h',
      },
    ];
    const [failed] = statusesOf(payload([change({ statuses: [status({ status: 'failed', errors })] })]));
    expect(failed).toMatchObject({
      status: 'failed',
      error: { code: 'DELIVERY_FAILED', providerCode: '131047', retryable: true },
    });
    expect(failed?.error?.detail).toContain('More than 24 hours');
  });

  it("keeps Meta's title for a code that the table does not know, and hides numbers in it", () => {
    const errors = [{ code: 424242, title: 'Moon in the way of 4915112345678', message: 'x' }];
    const [failed] = statusesOf(payload([change({ statuses: [status({ status: 'failed', errors })] })]));
    expect(failed?.error).toMatchObject({ providerCode: '424242', title: 'Moon in the way of [number]' });
  });

  it('keeps statuses with names of tomorrow, in lower case', () => {
    expect(statusesOf(payload([change({ statuses: [status({ status: 'PLAYED' })] })]))[0]?.status).toBe('played');
  });

  it.each([['x'], [''], [undefined], [null], [-5], ['0']])(
    'a timestamp %j becomes the time of arrival',
    (timestamp) => {
      expect(statusesOf(payload([change({ statuses: [status({ timestamp })] })]), 42)[0]?.atMs).toBe(42);
    },
  );

  it('one broken status does not keep the others', () => {
    const statuses = [null, 'x', {}, { id: 'a' }, { id: 5, status: 'sent' }, status({ id: 'good' }), []];
    expect(statusesOf(payload([change({ statuses })])).map((item) => item.providerMessageId)).toEqual(['good']);
  });
});

describe('verifySignature()', () => {
  // Meta signs its own escaped form; parsing and writing the body again would lose it.
  const body = Buffer.from('{"text":"caf\\u00e9 \\/ @"}');
  const sign = (secret: string, bytes = body): string =>
    `sha256=${createHmac('sha256', secret).update(bytes).digest('hex')}`;

  it('accepts the signature over the exact bytes, by any of the secrets', () => {
    expect(verifySignature(body, sign('one'), ['one'])).toBe(true);
    expect(verifySignature(body, sign('two'), ['one', 'two'])).toBe(true);
    expect(verifySignature(body, sign('one').toUpperCase().replace('SHA256', 'sha256'), ['one'])).toBe(true);
  });

  it('refuses every other body, secret and header', () => {
    expect(verifySignature(Buffer.from(JSON.stringify(JSON.parse(body.toString()))), sign('one'), ['one'])).toBe(false);
    expect(verifySignature(body, sign('one'), ['two'])).toBe(false);
    expect(verifySignature(body, sign('one'), [])).toBe(false);
    const good = sign('one');
    for (const header of [
      undefined,
      '',
      'sha256=',
      good.slice(7),
      good.slice(0, -1),
      `${good}0`,
      `${good},${good}`,
      ` ${good}`,
    ]) {
      expect(verifySignature(body, header, ['one'])).toBe(false);
    }
    for (let at = 7; at < good.length; at++) {
      const other = good.charAt(at) === '0' ? '1' : '0';
      expect(verifySignature(body, good.slice(0, at) + other + good.slice(at + 1), ['one'])).toBe(false);
    }
  });

  it('an empty secret signs nothing', () => {
    expect(verifySignature(body, sign(''), [''])).toBe(false);
    expect(verifySignature(body, sign(''), ['', 'one'])).toBe(false);
  });
});

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { CONTROL_ROUTES } from '../../src/emulator/control-index.ts';
import { startEmulator, textDigest, type LedgerEntry } from '../../src/emulator/index.ts';
import { settingsSchema } from '../../src/emulator/settings.ts';
import { accepted, control, CUSTOMER, emulator, eventually, NUMBER, post, text } from './support.ts';

describe('the ledger', () => {
  it('holds every request with time, recipient, digest, tag and outcome', async () => {
    const target = await emulator({ settings: { limits: { pairCapacity: 1, pairRefillMs: 3_600_000 } } });
    const before = Date.now();
    const wamid = await accepted(target, text('Hällo', { biz_opaque_callback_data: 'tag' }));
    await post(target, text('again'));
    await post(target, { nonsense: true });
    const entries = target.ledger();
    expect(entries).toMatchObject([
      {
        n: 1,
        phoneNumberId: NUMBER,
        kind: 'message',
        type: 'text',
        to: CUSTOMER,
        recipient: '491701234567',
        digest: textDigest('Hällo'),
        tag: 'tag',
        taken: true,
        outcome: 'accepted',
        code: null,
        httpStatus: 200,
        wamid,
        inFlight: 1,
      },
      { n: 2, taken: false, outcome: 'limited', code: 131056, httpStatus: 429, wamid: null },
      { n: 3, kind: 'invalid', taken: false, outcome: 'rejected', code: 100, httpStatus: 400 },
    ]);
    expect(entries[0]?.atMs).toBeGreaterThanOrEqual(before - 50);
    expect(entries[0]?.atMs).toBeLessThanOrEqual(Date.now() + 50);
  });

  it('is listed with filters and pages, awaited, and exported as lines', async () => {
    const target = await emulator();
    for (let i = 0; i < 5; i += 1) await accepted(target, text(`m${i}`, { biz_opaque_callback_data: `t${i}` }));
    expect((await control(target, 'GET', '/ledger?limit=2&after=1')).body).toMatchObject({
      entries: [{ n: 2 }, { n: 3 }],
      next: 3,
    });
    expect((await control(target, 'GET', '/ledger?tag=t4')).body).toMatchObject({ entries: [{ n: 5 }] });
    const waiting = control(target, 'GET', '/ledger?after=5&waitMs=10000');
    await accepted(target, text('late'));
    expect((await waiting).body).toMatchObject({ entries: [{ n: 6 }] });
    const exported = await (await fetch(`${target.url}/_emulator/ledger.ndjson`)).text();
    expect(
      exported
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as LedgerEntry).n),
    ).toEqual([1, 2, 3, 4, 5, 6]);
    expect((await control(target, 'GET', '/ledger?limit=many')).status).toBe(400);
  });

  it('is on disk before the answer when a file is named, and is appended to by the next start', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'waxwing-emulator-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const ledgerFile = join(folder, 'ledger.ndjson');
    const lines = async (): Promise<LedgerEntry[]> =>
      (await readFile(ledgerFile, 'utf8'))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as LedgerEntry);
    const first = await emulator({ ledgerFile });
    await Promise.all(
      Array.from({ length: 30 }, async (_, i) => {
        const wamid = await accepted(first, text(`m${i}`, { to: `+4917000000${10 + i}` }));
        expect((await lines()).some((line) => line.wamid === wamid)).toBe(true);
      }),
    );
    await first.stop();
    const second = await emulator({ ledgerFile });
    await accepted(second, text());
    expect(await lines()).toHaveLength(31);
  });

  it('keeps no more than ledgerMax in memory', async () => {
    const target = await emulator({
      settings: { memory: { ledgerMax: 10 }, limits: { throughputPerSecond: 0, pairCapacity: 0 } },
    });
    for (let i = 0; i < 25; i += 1) await accepted(target, text());
    expect(target.ledger().map((entry) => entry.n)).toEqual([16, 17, 18, 19, 20, 21, 22, 23, 24, 25]);
    expect(target.ledger({ after: 23 }).map((entry) => entry.n)).toEqual([24, 25]);
    expect(target.stats().ledgerEntries).toBe(25);
  });
});

describe('settings', () => {
  it('are changed together or not at all, and every problem is named', async () => {
    const target = await emulator();
    const wrong = { latencyMsMin: 5, latencyMsMax: 1, webhook: { batchMax: 0 }, nonsense: 1 };
    const refused = await control(target, 'PATCH', '/settings', wrong);
    expect(refused.status).toBe(400);
    const { problems } = (refused.body as { error: { problems: { field: string }[] } }).error;
    expect(problems.map((problem) => problem.field)).toContain('webhook.batchMax');
    expect(target.settings().latencyMsMin).toBe(0);
    await control(target, 'PATCH', '/settings', { latencyMsMin: 1, latencyMsMax: 5 });
    expect(target.settings()).toMatchObject({ latencyMsMin: 1, latencyMsMax: 5 });
    await control(target, 'POST', '/reset', { what: ['settings'] });
    expect(target.settings().latencyMsMax).toBe(0);
  });

  it('never show a secret, and keep it when what was shown is sent back', async () => {
    const target = await emulator({ accessToken: 'secret-a', appSecret: 'secret-b', verifyToken: 'secret-c' });
    const shown = await control(target, 'GET', '/settings');
    expect(JSON.stringify(shown.body)).not.toContain('secret-');
    await control(target, 'PATCH', '/settings', shown.body);
    expect((await post(target, text(), NUMBER, 'secret-a')).status).toBe(200);
    expect((await post(target, text(), NUMBER, '***')).status).toBe(401);
  });

  it('that are wrong stop the start', async () => {
    await expect(startEmulator({ settings: { latencyMsMin: -1 } })).rejects.toThrow(/latencyMsMin/);
    await expect(startEmulator({ webhookUrl: 'not an address' })).rejects.toThrow(/webhook\.url/);
  });
});

describe('control', () => {
  it('resets figures, ledger, chats and rules, and leaves the settings', async () => {
    const target = await emulator({ settings: { limits: { throughputPerSecond: 1 } } });
    target.addRule({ action: { kind: 'error', code: 1 }, nth: 9 });
    await accepted(target, text());
    expect((await control(target, 'POST', '/reset', {})).body).toMatchObject({
      reset: expect.not.arrayContaining(['settings']) as string[],
    });
    expect(target.stats()).toMatchObject({ messages: 0, accepted: 0, conversations: 0, pairGapMinMs: null });
    expect(target.ledger()).toEqual([]);
    expect((await control(target, 'GET', '/rules')).body).toEqual({ rules: [] });
    // The limit was forgotten with the rest: the next one is taken at once.
    await accepted(target, text());
  });

  it('counts the most in flight and the smallest gap of a pair', async () => {
    const target = await emulator();
    target.addRule({ id: 'hold', action: { kind: 'hang' } });
    const open = Array.from({ length: 7 }, (_, i) => post(target, text('x', { to: `+49170000000${i}` })));
    const broken = Promise.allSettled(open);
    await eventually(() => target.stats().inFlight === 7);
    expect(target.stats()).toMatchObject({ inFlightMax: 7, pairGapMinMs: null });
    expect(target.stats().numbers[0]).toMatchObject({ inFlight: 7, inFlightMax: 7 });
    target.removeRule('hold');
    await accepted(target, text('x', { to: '+491700000001' }));
    const times = target.ledger({ recipient: '491700000001' }).map((entry) => entry.atMs);
    const { pairGaps } = target.stats();
    expect(pairGaps).toMatchObject([{ phoneNumberId: NUMBER, recipient: '491700000001' }]);
    expect(pairGaps[0]?.minGapMs).toBeCloseTo((times[1] ?? 0) - (times[0] ?? 0), 6);
    await target.stop();
    expect((await broken).every((result) => result.status === 'rejected')).toBe(true);
  });

  it('keeps the last messages of a chat and the last chats', async () => {
    const target = await emulator({
      settings: {
        memory: { messagesPerConversationMax: 3, conversationsMax: 2 },
        limits: { throughputPerSecond: 0 },
      },
    });
    for (let i = 0; i < 5; i += 1) await accepted(target, text(`m${i}`));
    const { body } = await control(target, 'GET', `/conversations/${NUMBER}:491701234567/messages`);
    const chat = body as { trimmed: boolean; messages: { content: { body: string } }[] };
    expect(chat.messages.map((item) => item.content.body)).toEqual(['m2', 'm3', 'm4']);
    expect(chat.trimmed).toBe(true);
    for (const i of [1, 2]) await accepted(target, text('x', { to: `+49170000000${i}` }));
    const list = (await control(target, 'GET', '/conversations')).body as { items: { party: string }[] };
    expect(list.items.map((item) => item.party)).toEqual(['491700000002', '491700000001']);
  });

  it('refuses requests that another site makes through the browser', async () => {
    const target = await emulator();
    const headers = { 'sec-fetch-site': 'cross-site' };
    expect((await fetch(`${target.url}/_emulator/settings`, { headers })).status).toBe(403);
  });

  it('says on a port that is taken that it is taken', async () => {
    const target = await emulator();
    await expect(startEmulator({ port: target.port })).rejects.toThrow(/EADDRINUSE/);
  });
});

describe('documentation', () => {
  it('/_emulator and docs/emulator.md name every control route, and the page every setting', async () => {
    const target = await emulator();
    expect((await control(target, 'GET', '')).body).toMatchObject({ routes: CONTROL_ROUTES });
    const page = await readFile(new URL('../../docs/emulator.md', import.meta.url), 'utf8');
    for (const route of CONTROL_ROUTES) expect(page).toContain(`\`${route.method} ${route.path}\``);
    for (const name of namesOf(settingsSchema.parse({}))) expect(page).toContain(`\`${name}\``);
  });

  it('every route that /_emulator names answers', async () => {
    const target = await emulator();
    await accepted(target, text());
    for (const route of CONTROL_ROUTES.filter((entry) => entry.method === 'GET' && !entry.path.includes('{'))) {
      const answer = await fetch(target.url + route.path);
      expect(answer.status, route.path).toBe(200);
      await answer.body?.cancel();
    }
  });
});

/** `latencyMsMin`, `webhook.url`, … */
function namesOf(value: object, prefix = ''): string[] {
  return Object.entries(value).flatMap(([key, inner]: [string, unknown]) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner) && key !== 'numbers'
      ? namesOf(inner, `${prefix}${key}.`)
      : [`${prefix}${key}`],
  );
}

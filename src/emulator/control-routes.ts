import type { FastifyInstance } from 'fastify';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { CONTROL_ROUTES } from './control-index.ts';
import { receiveInbound } from './inbound.ts';
import { setConnection } from './foreign-routes.ts';
import type { LedgerEntry, LedgerQuery } from './ledger.ts';
import { verifyWebhook } from './outbox.ts';
import { RESET_PARTS, resetWorld } from './reset.ts';
import { ControlError, parseControl, shownSettings } from './settings.ts';
import { setTemplateStatus } from './template-store.ts';
import { statsOf } from './stats.ts';
import type { World } from './world.ts';

const whole = (max: number): z.ZodType<number> => z.coerce.number().int().min(0).max(max);
const exportSchema = z.strictObject({
  after: whole(Number.MAX_SAFE_INTEGER).optional(),
  phoneNumberId: z.string().optional(),
  recipient: z.string().optional(),
  outcome: z.string().optional(),
  tag: z.string().optional(),
});
const ledgerSchema = exportSchema.extend({ limit: whole(10_000).default(1000), waitMs: whole(60_000).default(0) });
const listSchema = z.object({
  limit: whole(1000).default(200),
  search: z.string().max(200).optional(),
  phoneNumberId: z.string().optional(),
});
const statsSchema = z.object({ pairs: whole(10_000).default(10) });
const eventsSchema = z.object({ open: z.string().max(256).optional() });
const resetSchema = z.strictObject({ what: z.array(z.enum(RESET_PARTS)).optional() });
const verifySchema = z.strictObject({
  url: z.url({ protocol: /^https?$/ }).optional(),
  verifyToken: z.string().min(1).optional(),
});

/** A customer may send a file with the message. */
const INBOUND_BYTES_MAX = 32 * 1024 * 1024;

/** The routes under `/_emulator`. */
export function registerControl(app: FastifyInstance, world: World): void {
  app.addHook('onRequest', (request, _reply, next) => {
    // A page of another site that is open in the same browser must not steer the emulator.
    const cross = request.url.startsWith('/_emulator') && request.headers['sec-fetch-site'] === 'cross-site';
    next(cross ? new ControlError('Requests from other sites are refused.', { status: 403 }) : undefined);
  });
  app.get('/_emulator', () => ({ name: 'WhatsApp Cloud API emulator', routes: CONTROL_ROUTES }));

  app.get('/_emulator/settings', () => shownSettings(world.settings()));
  app.patch('/_emulator/settings', (request) => shownSettings(world.change(request.body)));
  app.patch<{ Params: { id: string } }>(
    '/_emulator/numbers/:id',
    (request) =>
      world.change({ numbers: { [request.params.id]: request.body ?? {} } }).numbers[request.params.id] ?? {},
  );

  app.get('/_emulator/rules', () => ({ rules: world.rules.list() }));
  app.post('/_emulator/rules', (request, reply) => {
    const rule = world.rules.add(request.body);
    world.live.statsChanged();
    return reply.code(201).send(rule);
  });
  app.delete('/_emulator/rules', () => {
    world.rules.clear();
    world.live.statsChanged();
    return { rules: [] };
  });
  app.delete<{ Params: { id: string } }>('/_emulator/rules/:id', (request) => {
    if (!world.rules.remove(request.params.id)) throw new ControlError('There is no such rule.', { status: 404 });
    world.live.statsChanged();
    return { rules: world.rules.list() };
  });

  app.post<{ Params: { instance: string } }>('/_emulator/evolution/:instance/connection', (request) =>
    setConnection(world, request.params.instance, request.body),
  );
  app.post('/_emulator/inbound', { bodyLimit: INBOUND_BYTES_MAX }, (request) => receiveInbound(world, request.body));
  app.post('/_emulator/templates/status', (request) => setTemplateStatus(world, request.body));
  app.post('/_emulator/reset', (request) => {
    const { what } = parseControl(resetSchema, request.body ?? {}, 'reset');
    return { reset: resetWorld(world, what) };
  });
  app.post('/_emulator/webhook/verify', (request) => {
    const given = parseControl(verifySchema, request.body ?? {}, 'verification');
    const { webhook } = world.settings();
    const url = given.url ?? webhook.url;
    const verifyToken = given.verifyToken ?? webhook.verifyToken;
    if (url === null || verifyToken === null)
      throw new ControlError('Set webhook.url and webhook.verifyToken, or give url and verifyToken here.');
    return verifyWebhook(url, verifyToken, webhook.timeoutMs);
  });

  app.get('/_emulator/stats', (request) => statsOf(world, parseControl(statsSchema, request.query, 'query').pairs));
  app.get('/_emulator/ledger', async (request) => {
    const { waitMs, ...query } = parseControl(ledgerSchema, request.query, 'query');
    let entries = [...world.ledger.query(query as LedgerQuery)];
    if (entries.length === 0 && waitMs > 0 && (await nextEntry(world, waitMs)))
      entries = [...world.ledger.query(query as LedgerQuery)];
    return { entries, next: entries.at(-1)?.n ?? query.after ?? 0 };
  });
  app.get('/_emulator/ledger.ndjson', (request, reply) => {
    const query = parseControl(exportSchema, request.query, 'query');
    return reply.type('application/x-ndjson').send(Readable.from(lines(world.ledger.query(query as LedgerQuery))));
  });

  app.get('/_emulator/conversations', (request) => {
    const { limit, search, phoneNumberId } = parseControl(listSchema, request.query, 'query');
    return {
      items: world.conversations.list({
        limit,
        ...(search === undefined ? {} : { search }),
        ...(phoneNumberId === undefined ? {} : { phoneNumberId }),
      }),
    };
  });
  app.get<{ Params: { key: string } }>('/_emulator/conversations/:key/messages', (request) => {
    const conversation = world.conversations.viewed(request.params.key);
    if (!conversation) throw new ControlError('There is no such chat.', { status: 404 });
    return {
      key: conversation.key,
      phoneNumberId: conversation.phoneNumberId,
      party: conversation.party,
      name: conversation.name,
      trimmed: conversation.trimmed,
      messages: conversation.messages,
    };
  });
  app.get('/_emulator/events', (request, reply) => {
    const { open } = parseControl(eventsSchema, request.query, 'query');
    void reply.hijack();
    if (!world.live.connect(reply.raw, open ?? null)) reply.raw.writeHead(503).end();
  });
  app.get<{ Params: { id: string } }>('/_emulator/media/:id', (request, reply) => {
    const item = world.media.find(request.params.id);
    if (!item) throw new ControlError('There is no such file.', { status: 404 });
    // Uploaded bytes are shown beside the page: they must never run as one.
    return reply
      .type(item.mimeType)
      .header('content-security-policy', "default-src 'none'; sandbox")
      .header('x-content-type-options', 'nosniff')
      .send(item.bytes);
  });
}

/** Resolves true with the next entry, false after `waitMs`. */
function nextEntry(world: World, waitMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const stop = world.ledger.onEntry(() => {
      stop();
      resolve(true);
    });
    void world.timers.wait(waitMs).then(() => {
      stop();
      resolve(false);
    });
  });
}

/** JSON lines in pieces of some hundred, so that a large ledger does not block and is not built as one text. */
function* lines(entries: Iterable<LedgerEntry>): Generator<string> {
  let piece = '';
  for (const entry of entries) {
    piece += `${JSON.stringify(entry)}\n`;
    if (piece.length < 65_536) continue;
    yield piece;
    piece = '';
  }
  if (piece !== '') yield piece;
}

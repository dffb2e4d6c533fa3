import Fastify, { type FastifyInstance } from 'fastify';
import { registerControl } from './control-routes.ts';
import { Conversations } from './conversations.ts';
import { registerForeign } from './foreign-routes.ts';
import { unknownPath } from './graph-access.ts';
import { GraphError } from './graph-error.ts';
import { registerGraph } from './graph-routes.ts';
import { receiveInbound, type InboundInput, type InboundResult } from './inbound.ts';
import { Ledger, LedgerFile, type LedgerEntry, type LedgerQuery } from './ledger.ts';
import { Live } from './live.ts';
import { Media } from './media.ts';
import { registerMessages } from './messages-route.ts';
import { Numbers } from './numbers.ts';
import { Outbox } from './outbox.ts';
import { registerPage } from './page.ts';
import { Pairs } from './pairs.ts';
import { resetWorld, type ResetPart } from './reset.ts';
import { Rules, type Rule, type RuleInput } from './rules.ts';
import { ControlError, patchSettings, shownSettings, type Settings, type SettingsPatch } from './settings.ts';
import { liveStatsOf, statsOf, type EmulatorStats } from './stats.ts';
import { Statuses } from './statuses.ts';
import { Timers } from './timers.ts';
import { emptyTotals, type World } from './world.ts';

export interface EmulatorOptions {
  /** Default `127.0.0.1`. The control interface has no login: do not listen where others can reach it. */
  readonly host?: string;
  /** Default 0 = any free port. */
  readonly port?: number;
  /** The only bearer token that is accepted; default: any that is not empty. */
  readonly accessToken?: string;
  /** Where status and message webhooks go; default: nowhere. */
  readonly webhookUrl?: string;
  /** Key of `X-Hub-Signature-256`; default: not signed. */
  readonly appSecret?: string;
  /** For the verification handshake. */
  readonly verifyToken?: string;
  /** File to which every request is appended as a JSON line and fsynced before it is answered. */
  readonly ledgerFile?: string;
  /** Everything else, as `PATCH /_emulator/settings` takes it; wins over the options above. */
  readonly settings?: SettingsPatch;
}

export interface Emulator {
  /** `http://127.0.0.1:4010`; the page is there. */
  readonly url: string;
  readonly port: number;
  /** What `WHATSAPP_API_URL` must be: the address with a version, `http://127.0.0.1:4010/v23.0`. */
  readonly apiUrl: string;
  /** The settings now, without secrets. */
  settings(): Settings;
  /** Throws `ControlError` with every problem when the result would not be valid. */
  patch(patch: SettingsPatch): Settings;
  addRule(rule: RuleInput): Rule;
  removeRule(id: string): boolean;
  /** A customer writes. Throws `ControlError` when the message is not valid. */
  inbound(message: InboundInput): Promise<InboundResult>;
  /** Requests in memory, oldest first. */
  ledger(query?: LedgerQuery): LedgerEntry[];
  /** Calls back for every request when it is decided, before its answer. Returns the way to stop that. */
  onRequest(listener: (entry: LedgerEntry) => void): () => void;
  stats(): EmulatorStats;
  reset(what?: readonly ResetPart[]): void;
  /** Stops at once: open requests are broken off, webhooks on their way are dropped. Safe to call twice. */
  stop(): Promise<void>;
}

/** Version in `apiUrl`; every `vN.N` is served. */
const API_VERSION = 'v23.0';

/**
 * Starts a WhatsApp Cloud API on this machine: the same requests, answers, limits and webhooks, without WhatsApp.
 * Resolves when it listens. Throws when the port is taken, the ledger file cannot be opened or a setting is not valid.
 */
export async function startEmulator(options: EmulatorOptions = {}): Promise<Emulator> {
  const initial = patchSettings(patchSettings(undefined, optionSettings(options)), options.settings ?? {});
  const file = options.ledgerFile === undefined ? null : await LedgerFile.open(options.ledgerFile);
  const world = createWorld(initial, new Ledger(initial.memory.ledgerMax, file));
  const app = Fastify({
    logger: false,
    bodyLimit: 2 * 1024 * 1024,
    forceCloseConnections: true,
    // Clients keep connections for minutes; a server that closes them first would look like a fault nobody asked for.
    keepAliveTimeout: 120_000,
    routerOptions: { maxParamLength: 300 },
  });
  try {
    await registerAll(app, world);
    await app.listen({ host: options.host ?? '127.0.0.1', port: options.port ?? 0 });
  } catch (error) {
    await closeAll(app, world);
    throw error;
  }
  const address = app.server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const host = options.host ?? '127.0.0.1';
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
  let stopping: Promise<void> | null = null;
  return {
    url,
    port,
    apiUrl: `${url}/${API_VERSION}`,
    settings: () => shownSettings(world.settings()),
    patch: (patch) => shownSettings(world.change(patch)),
    addRule: (rule) => world.rules.add(rule),
    removeRule: (id) => world.rules.remove(id),
    inbound: (message) => receiveInbound(world, message),
    ledger: (query) => [...world.ledger.query(query)],
    onRequest: (listener) => world.ledger.onEntry(listener),
    stats: () => statsOf(world),
    reset: (what) => void resetWorld(world, what),
    stop: () => (stopping ??= closeAll(app, world)),
  };
}

function optionSettings(options: EmulatorOptions): SettingsPatch {
  return {
    ...(options.accessToken === undefined ? {} : { accessTokens: [options.accessToken] }),
    webhook: {
      ...(options.webhookUrl === undefined ? {} : { url: options.webhookUrl }),
      ...(options.appSecret === undefined ? {} : { appSecret: options.appSecret }),
      ...(options.verifyToken === undefined ? {} : { verifyToken: options.verifyToken }),
    },
  };
}

function createWorld(initial: Settings, ledger: Ledger): World {
  let current = initial;
  const settings = (): Settings => current;
  const timers = new Timers();
  const live: Live = new Live(() => liveStatsOf(world));
  const conversations = new Conversations(initial.memory, live);
  const outbox = new Outbox(settings, timers);
  const media = new Media(initial.memory.mediaBytesMax);
  const apply = (next: Settings): Settings => {
    current = next;
    ledger.max = next.memory.ledgerMax;
    conversations.bounds = next.memory;
    media.bytesMax = next.memory.mediaBytesMax;
    outbox.settingsChanged();
    return next;
  };
  const world: World = {
    settings,
    change: (patch) => apply(patchSettings(current, patch)),
    restoreSettings: () => void apply(initial),
    timers,
    numbers: new Numbers(),
    pairs: new Pairs(),
    rules: new Rules(),
    ledger,
    conversations,
    statuses: new Statuses(settings, timers, conversations, outbox),
    outbox,
    media,
    live,
    totals: emptyTotals(),
  };
  return world;
}

async function registerAll(app: FastifyInstance, world: World): Promise<void> {
  app.removeContentTypeParser('text/plain');
  app.addContentTypeParser('multipart/form-data', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.setErrorHandler((error, request, reply) => {
    if (error instanceof ControlError)
      return reply.code(error.status).send({ error: { message: error.message, problems: error.problems } });
    if (error instanceof GraphError) return reply.code(error.status).send(error.envelope());
    const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500;
    const detail = error instanceof Error ? error.message : 'unknown error';
    if (request.url.startsWith('/_emulator'))
      return reply.code(status).send({ error: { message: detail, problems: [] } });
    // What Fastify refuses (not JSON, too large, another content type) is an invalid parameter to the Graph API.
    const refused = status < 500 ? new GraphError(100, { status, details: detail }) : new GraphError(1, { status });
    return reply.code(status).send(refused.envelope());
  });
  app.setNotFoundHandler((request, reply) => {
    const error = unknownPath(request.url);
    return reply.code(error.status).send(error.envelope());
  });
  registerMessages(app, world);
  registerForeign(app, world);
  registerGraph(app, world);
  registerControl(app, world);
  await registerPage(app);
}

async function closeAll(app: FastifyInstance, world: World): Promise<void> {
  world.timers.stop();
  world.live.close();
  await app.close();
  await world.outbox.close();
  await world.ledger.close();
}

import cookie from '@fastify/cookie';
import Fastify, { LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify';
import { serializerCompiler } from 'fastify-type-provider-zod';
import type { Reception, WebhookKeeper } from '../inbound/index.ts';
import { AppError } from '../errors/app-error.ts';
import type { QueueAdministration } from '../jobs/index.ts';
import type { Messages, ShortSend } from '../messages/index.ts';
import type { Statistics } from '../stats/index.ts';
import type { TemplateRegistry } from '../templates/index.ts';
import { newId } from '../util/ids.ts';
import type { Bookings } from '../bookings/index.ts';
import type { AdminOptions } from './admin-options.ts';
import { alertRoutes, type AlertRouteOptions } from './alerts/routes.ts';
import { boardAccess, boardRoutes, type BoardOptions } from './board/board.ts';
import { bookingRoutes } from './bookings/routes.ts';
import { mailRoutes } from './mail/routes.ts';
import { DASHBOARD_FILES } from './dashboard/page.ts';
import type { DashboardOptions } from './dashboard/parts.ts';
import { dashboardRoutes } from './dashboard/routes.ts';
import type { ApiKeyCheck } from './auth/api-keys.ts';
import { createJwtCheck, type JwtSettings } from './auth/jwt.ts';
import { cacheRoutes, type CacheRouteOptions } from './cache/routes.ts';
import { auditRoutes } from './audit/routes.ts';
import { healthReportRoutes } from './health/report-routes.ts';
import { eventRoutes, type EventRouteOptions } from './events/routes.ts';
import { failureRoutes, type FailureRouteOptions } from './failures/routes.ts';
import { healthRoutes, type HealthOptions } from './health/routes.ts';
import { keyRoutes } from './keys/routes.ts';
import { measureRequests, metricsRoutes, type MetricsRouteOptions } from './metrics/routes.ts';
import { messageRoutes } from './messages/routes.ts';
import { auth } from './plugins/auth.ts';
import { answerClientError, errors, sendProblem } from './plugins/errors.ts';
import { DOCS_PREFIX, openapi } from './plugins/openapi.ts';
import { safeHeaders } from './plugins/safe-headers.ts';
import { traces } from './plugins/traces.ts';
import { readJsonBodies } from './plugins/json-body.ts';
import { closeQueries, validatorCompiler } from './plugins/validation.ts';
import { queueRoutes } from './queues/routes.ts';
import { reportRoutes, type ReportOptions } from './reports/routes.ts';
import { sendRoutes } from './send/routes.ts';
import { senderRoutes } from './senders/routes.ts';
import { streamRoutes, type StreamRouteOptions } from './streams/routes.ts';
import { signInRoutes } from './sign-in/routes.ts';
import { isHttps, type PublicAddress } from './sign-in/same-origin.ts';
import { createPageSessions } from './sign-in/sessions.ts';
import { statsRoutes } from './stats/routes.ts';
import { templateRoutes } from './templates/routes.ts';
import { tenantRoutes } from './tenants/routes.ts';
import { conversationRoutes, type ConversationRouteOptions } from './conversations/routes.ts';
import { webhookArchiveRoutes } from './webhook-archive/routes.ts';
import { webhookRoutes } from './webhooks/routes.ts';

export interface HttpOptions {
  readonly messages: Messages;
  readonly shortSend: ShortSend;
  readonly webhook: Reception;
  readonly webhookKeeper: WebhookKeeper;
  readonly conversations: ConversationRouteOptions;
  readonly admin: AdminOptions;
  readonly checkKey: ApiKeyCheck;
  readonly jwt: JwtSettings;
  /** PUBLIC_URL: where browsers reach this server, when a proxy stands in front. */
  readonly publicUrl?: string | undefined;
  /** TRUST_PROXY: whose X-Forwarded headers are believed; absent = nobody's. */
  readonly trustProxy?: string | ((address: string, hop: number) => boolean) | undefined;
  readonly health: HealthOptions;
  readonly reports: ReportOptions;
  readonly failures: FailureRouteOptions;
  readonly events: EventRouteOptions;
  readonly metrics: MetricsRouteOptions;
  readonly queues: QueueAdministration;
  readonly streams: Omit<StreamRouteOptions, 'admin'>;
  readonly alerts: AlertRouteOptions;
  readonly cache: CacheRouteOptions;
  readonly bookings: Bookings;
  /** Bull Board; absent = not served. */
  readonly board?: BoardOptions | undefined;
  readonly stats: Statistics;
  /** Records a span per request. Default false. */
  readonly isTraced?: boolean;
  readonly templates: TemplateRegistry;
  /** The dashboard; absent = not served. */
  readonly dashboard?: DashboardOptions | undefined;
  /** Of the package; shown in the OpenAPI document. */
  readonly version: string;
  /** A pino logger; absent = no log. */
  readonly logger?: FastifyBaseLogger;
  /** Adds routes of other rooms. A route without `config.access` stops the boot. */
  readonly extend?: (app: FastifyInstance) => void;
}

/** Limit of every body whose route has none of its own. */
const BODY_BYTES_MAX = 256 * 1024;
/** Time to send a whole request; a slower one holds a connection for nothing. */
const REQUEST_TIMEOUT_MS = 30_000;
const HEADERS_TIMEOUT_MS = 10_000;
/** A quiet connection; longer than `Prefer: wait=30`, during which nothing is said. */
const CONNECTION_TIMEOUT_MS = 65_000;
/** Above the 60 s after which most load balancers let go, so that they close first. */
const KEEP_ALIVE_TIMEOUT_MS = 72_000;

/** The HTTP API, ready for `inject()` or `startServer()`. It listens to nothing by itself. */
export async function buildApp(options: HttpOptions): Promise<FastifyInstance> {
  const app = Fastify({
    ...(options.logger === undefined ? { logger: false } : { loggerInstance: options.logger }),
    // Fastify's own line would hold the query, and with it the verify token of a webhook.
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    genReqId: () => newId(),
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    http: { headersTimeout: HEADERS_TIMEOUT_MS },
    ...(options.trustProxy === undefined ? {} : { trustProxy: options.trustProxy }),
    routerOptions: { maxParamLength: 512 },
    forceCloseConnections: 'idle',
    // The hook below refuses in the shape of all errors.
    return503OnClosing: false,
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, request, reply) => {
      sendProblem(error, request, reply);
    },
  }) as FastifyInstance;

  readJsonBodies(app);
  app.setValidatorCompiler(validatorCompiler);
  closeQueries(app);
  app.setSerializerCompiler(serializerCompiler);
  if (options.isTraced === true) await app.register(traces);
  await app.register(errors);
  await app.register(safeHeaders);
  const address: PublicAddress = {
    origin: options.publicUrl === undefined ? undefined : new URL(options.publicUrl).origin,
  };
  app.addHook('onRequest', (request, reply, done) => {
    if (isHttps(request, address)) reply.header('strict-transport-security', 'max-age=31536000');
    done();
  });
  const checkJwt = createJwtCheck(options.jwt);
  const sessions = createPageSessions({ store: options.admin.record.sessions, secret: options.jwt.secret });
  await app.register(cookie);
  await app.register(auth, {
    checkKey: options.checkKey,
    checkJwt,
    pages: { sessions, address },
    openPrefixes: [DOCS_PREFIX, DASHBOARD_FILES],
    foreignAccess: options.board === undefined ? undefined : boardAccess(options.board.path),
  });
  await app.register(openapi, { version: options.version });

  const { isStopping, isClosing = isStopping } = options.health;
  app.addHook('onRequest', (request, reply, done) => {
    const access = request.routeOptions.config.access;
    // Whoever keeps connections asks the next time over another one, to another process.
    if (isStopping()) reply.header('connection', 'close');
    // What reads the process' health goes on; everything else finds another process behind the load balancer.
    if (isClosing() && access !== 'open') done(new AppError('SHUTTING_DOWN'));
    else done();
  });
  app.addHook('onResponse', (request, reply, done) => {
    const { method, routeOptions } = request;
    const line = { method, route: routeOptions.url ?? null, status: reply.statusCode };
    request.log.debug({ ...line, durationMs: Math.round(reply.elapsedTime * 10) / 10 }, 'answered');
    done();
  });

  measureRequests(app, options.metrics.metrics);
  metricsRoutes(app, options.metrics);
  alertRoutes(app, options.alerts);
  healthReportRoutes(app, { metrics: options.metrics.metrics, alerts: options.alerts, record: options.reports.record });
  messageRoutes(app, options);
  sendRoutes(app, options);
  healthRoutes(app, options.health);
  webhookRoutes(app, options);
  webhookArchiveRoutes(app, options);
  conversationRoutes(app, options.conversations);
  tenantRoutes(app, options.admin);
  senderRoutes(app, options.admin);
  keyRoutes(app, options.admin);
  auditRoutes(app, options.admin);
  signInRoutes(app, { record: options.admin.record, sessions, checkJwt, address });
  reportRoutes(app, options.reports);
  failureRoutes(app, options.failures);
  eventRoutes(app, options);
  queueRoutes(app, options);
  streamRoutes(app, { ...options.streams, admin: options.admin });
  cacheRoutes(app, options.cache);
  bookingRoutes(app, options);
  statsRoutes(app, options);
  templateRoutes(app, options);
  mailRoutes(app);
  if (options.dashboard !== undefined)
    await dashboardRoutes(app, { ...options.dashboard, ...options, sessions, address });
  if (options.board !== undefined) await boardRoutes(app, { ...options.board, admin: options.admin });
  options.extend?.(app);
  await app.ready();
  return app;
}

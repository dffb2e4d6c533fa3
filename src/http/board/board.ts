import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { FastifyAdapter } from '@bull-board/fastify';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AppError } from '../../errors/app-error.ts';
import { toProblem } from '../../errors/problem.ts';
import { JOB_QUEUE_IDS, JOB_QUEUES, type QueueService } from '../../jobs/index.ts';
import { audit, type AdminOptions } from '../admin-options.ts';
import { personOf, type Access } from '../plugins/auth.ts';
import { asAppError } from '../plugins/errors.ts';
import { jobStateError } from './job-state-error.ts';
import { LOGO_URL } from '../logo.ts';
import { maskAnswer } from './mask.ts';
import { SendEngineAdapter, type SendEngineParts } from './send-engine-adapter.ts';
import { isUnmasked, UNMASK_COOKIE, UNMASK_SECONDS, unmaskValue } from './unmask.ts';

export interface BoardOptions {
  /** BULL_BOARD_PATH. */
  readonly path: string;
  readonly queues: QueueService;
  readonly send: SendEngineParts;
  /** Signs the cookie of who sees numbers and texts. */
  readonly secret: string;
}

/** Everything from here, styles inline as the board makes them, and no other host. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'self'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const OPERATOR_ACTS = /\/(pause|resume|promote|retry)(\/|$)/;

/** Who may call a route of the board: viewers read, operators pause and retry, admins remove and change. */
export function boardAccess(path: string) {
  return (method: string, url: string): Access | undefined => {
    if (url !== path && !url.startsWith(`${path}/`)) return undefined;
    if (url === `${path}/unmask`) return 'admin';
    if (method === 'GET' || method === 'HEAD') return 'viewer';
    return OPERATOR_ACTS.test(url) ? 'operator' : 'admin';
  };
}

/** Bull Board over all job queues and the send engine. */
export async function boardRoutes(app: FastifyInstance, options: BoardOptions & { readonly admin: AdminOptions }) {
  const { path, queues, send, secret, admin } = options;
  const adapter = new FastifyAdapter();
  const jobQueues = JOB_QUEUE_IDS.map((id) => {
    const { title, description } = JOB_QUEUES[id];
    return new BullMQAdapter(queues.bullQueue(id), { displayName: title, description });
  });
  createBullBoard({
    queues: [new SendEngineAdapter(send), ...jobQueues],
    serverAdapter: adapter,
    options: {
      uiConfig: {
        boardTitle: 'Waxwing',
        boardLogo: { path: LOGO_URL, width: 32, height: 32 },
        favIcon: { default: LOGO_URL, alternative: LOGO_URL },
        hideDocsLink: true,
        miscLinks: [{ text: 'Show numbers and texts', url: `${path}/unmask` }],
      },
    },
  });
  adapter.setBasePath(path);
  adapter.setErrorHandler((error) => {
    const problem = asAppError(jobStateError(error));
    // The board shows `error`; the rest is the shape of all our errors.
    const body = { ...toProblem(problem, ''), error: problem.detail, message: problem.detail };
    return { status: problem.status as 400, body };
  });
  const seesAll = (request: FastifyRequest) =>
    request.person?.role === 'admin' &&
    isUnmasked(request.cookies[UNMASK_COOKIE], request.person.name, secret, Date.now());

  await app.register(async (scope) => {
    scope.addHook('onRequest', (request, reply, done) => {
      reply.header('content-security-policy', POLICY);
      // What is shown masked must not be written back.
      const writesData = /\/(update-data|add)$/.test(request.routeOptions.url ?? '');
      if (!writesData || seesAll(request)) done();
      else done(new AppError('CONFLICT', { detail: 'The data is masked: choose "Show numbers and texts" first.' }));
    });
    // BullMQ would fail with words of its own, or wait.
    scope.addHook('onRequest', async (request) => {
      if (request.routeOptions.url?.startsWith(`${path}/api/`) === true) await queues.ping();
    });
    scope.addHook('preSerialization', (request, _reply, payload, done) => {
      done(null, seesAll(request) ? payload : maskAnswer(payload));
    });
    scope.addHook('onSend', (_request, reply, payload, done) => {
      // The page asks another host for a font; the browser would only report that the policy forbids it.
      const isPage = typeof payload === 'string' && String(reply.getHeader('content-type')).startsWith('text/html');
      done(null, isPage ? payload.replace(/<link[^>]+fonts\.googleapis\.com[^>]*>/g, '') : payload);
    });
    // Before the answer leaves: who reads the audit after it finds the act.
    scope.addHook('onSend', async (request, reply) => {
      if (request.method === 'GET' || request.method === 'HEAD' || reply.statusCode >= 300) return;
      const params = request.params as Record<string, string>;
      const target = [params['queueName'], params['jobId']].filter((one) => one !== undefined).join(' ');
      const act = request.url.split('?')[0]?.slice(path.length) ?? '';
      const action = `board.${act.split('/').find((part) => OPERATOR_ACTS.test(`/${part}`)) ?? act.split('/').at(-1) ?? ''}`;
      await audit(admin, request, { action, target: target === '' ? 'all queues' : target });
    });
    scope.get(`${path}/unmask`, { schema: { hide: true } }, async (request, reply) => {
      const { name } = personOf(request);
      await audit(admin, request, { action: 'board.unmask', target: 'queues', detail: { seconds: UNMASK_SECONDS } });
      return reply
        .setCookie(UNMASK_COOKIE, unmaskValue(name, secret, Date.now()), {
          path,
          httpOnly: true,
          sameSite: 'strict',
          secure: request.protocol === 'https',
          maxAge: UNMASK_SECONDS,
        })
        .redirect(path);
    });
    await scope.register(adapter.registerPlugin(), { prefix: path });
  });
}

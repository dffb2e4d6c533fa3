import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../../errors/app-error.ts';
import type { LiveView } from '../../observe/index.ts';

/** Pages of one process that are told of changes; the next one hears 429 and asks again. */
const STREAMS_MAX = 200;
/** A page that reads slower than this much is left out until it has caught up. */
const UNREAD_BYTES_MAX = 512 * 1024;
/** Is the person still signed in. */
const CHECK_MS = 4000;
/** Without a session to look at (a JWT), the caller has to prove itself anew after this. */
const TOKEN_STREAM_MS = 60_000;

export interface StreamOptions {
  readonly live: LiveView;
  /** Is the session of this request still good; null = it has none. */
  readonly isSignedIn: (request: FastifyRequest) => Promise<boolean | null>;
}

/**
 * `/dashboard/api/stream`: server-sent events. First `history`, then an `update` after every look at the figures; one
 * look serves everybody who watches.
 */
export function streamRoute(app: FastifyInstance, { live, isSignedIn }: StreamOptions): void {
  const open = new Set<() => void>();
  // Ended here, or a stopping server would wait for pages that never go away.
  app.addHook('preClose', (done) => {
    for (const end of [...open]) end();
    done();
  });

  app.get(
    '/dashboard/api/stream',
    { config: { access: 'viewer' }, schema: { hide: true } },
    (request: FastifyRequest, reply: FastifyReply) => {
      if (open.size >= STREAMS_MAX) {
        throw new AppError('TOO_MANY_ATTEMPTS', {
          detail: 'Too many dashboards are open on this process. Try again later.',
        });
      }
      reply.hijack();
      const { raw } = reply;
      raw.writeHead(200, {
        ...(reply.getHeaders() as Record<string, string>),
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        // Nginx would keep events back to fill its buffer.
        'x-accel-buffering': 'no',
      });
      const write = (event: string, data: unknown) => raw.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
      raw.write('retry: 1000\n\n');
      write('history', live.history);
      const unwatch = live.watch((update) => {
        if (raw.writableLength < UNREAD_BYTES_MAX) write('update', update);
      });
      const startedAtMs = performance.now();
      const checker = setInterval(() => void check(), CHECK_MS).unref();
      const end = () => {
        clearInterval(checker);
        unwatch();
        open.delete(end);
        raw.end();
      };
      const check = async () => {
        const isGood = await isSignedIn(request).catch(() => true);
        if (isGood === false || (isGood === null && performance.now() - startedAtMs > TOKEN_STREAM_MS)) end();
      };
      open.add(end);
      raw.on('close', end);
    },
  );
}

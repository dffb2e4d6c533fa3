import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';

export interface HealthOptions {
  /** ACCEPT_DURABILITY: what a 2xx means here. */
  readonly durability: string;
  /** By name: resolves when that part can work. Each gets two seconds. */
  readonly readyChecks: Readonly<Record<string, () => Promise<void>>>;
  /** True while the process stops: it answers, but wants no new work. */
  readonly isStopping: () => boolean;
  /** True from when on it also refuses requests. Absent = as `isStopping`. */
  readonly isClosing?: () => boolean;
  /** `/ready` was answered with 200. */
  readonly onReady?: () => void;
}

const CHECK_TIMEOUT_MS = 2000;

const healthAnswer = z.object({ status: z.literal('ok'), durability: z.string() });
const readyAnswer = z.object({
  status: z.enum(['ready', 'not-ready', 'stopping']),
  checks: z.record(z.string(), z.enum(['ok', 'failed'])),
});

/** `/health`: the process lives. `/ready`: it can do its work. Words only, because both are open. */
export function healthRoutes(app: FastifyInstance, options: HealthOptions): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const config = { access: 'open' } as const;
  const tags = ['health'];

  routes.get(
    '/health',
    { config, schema: { tags, summary: 'The process lives', response: { 200: healthAnswer } } },
    () => ({ status: 'ok' as const, durability: options.durability }),
  );

  routes.get(
    '/ready',
    {
      config,
      schema: { tags, summary: 'The process can work', response: { 200: readyAnswer, 503: readyAnswer } },
    },
    async (request, reply) => {
      const names = Object.keys(options.readyChecks);
      const results = await Promise.all(
        Object.values(options.readyChecks).map(async (check) => {
          try {
            await withinTime(check());
            return 'ok' as const;
          } catch (error) {
            request.log.warn({ err: error }, 'ready check failed');
            return 'failed' as const;
          }
        }),
      );
      const checks = Object.fromEntries(names.map((name, index) => [name, results[index] ?? 'failed']));
      const isReady = results.every((result) => result === 'ok') && !options.isStopping();
      const status = options.isStopping()
        ? ('stopping' as const)
        : isReady
          ? ('ready' as const)
          : ('not-ready' as const);
      if (isReady) options.onReady?.();
      else reply.header('retry-after', '2');
      return reply
        .code(isReady ? 200 : 503)
        .header('cache-control', 'no-store')
        .send({ status, checks });
    },
  );
}

async function withinTime(work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${CHECK_TIMEOUT_MS} ms`)), CHECK_TIMEOUT_MS);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    work.catch(() => undefined);
  }
}

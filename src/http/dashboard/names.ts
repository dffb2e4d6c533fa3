import type { FastifyInstance } from 'fastify';

/** Pages read again and again; a change by another process is seen this much later. */
const FRESH_MS = 3000;

/**
 * Keeps what a list reads from the record for a moment, for all who look at it. A change that goes through this process
 * is seen at once: who has just paused something sees it paused.
 * @param changes path below which the changes are made, such as `/admin/tenants`
 */
export function keptNames<T>(
  app: FastifyInstance,
  changes: string,
  read: () => Promise<readonly T[]>,
): () => Promise<readonly T[]> {
  let kept: { readonly list: readonly T[]; readonly atMs: number } | undefined;
  let turn = 0;
  app.addHook('onSend', (request, _reply, _payload, done) => {
    if (request.method !== 'GET' && request.routeOptions.url?.startsWith(changes) === true) {
      kept = undefined;
      turn += 1;
    }
    done();
  });
  return async () => {
    if (kept !== undefined && performance.now() - kept.atMs <= FRESH_MS) return kept.list;
    const asked = turn;
    const list = await read();
    if (turn === asked) kept = { list, atMs: performance.now() };
    return list;
  };
}

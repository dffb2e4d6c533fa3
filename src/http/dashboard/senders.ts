import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { LiveSender } from '../../observe/index.ts';
import type { SenderName } from '../../record/index.ts';
import { keptNames } from './names.ts';
import type { DashboardParts } from './parts.ts';

const query = z.object({
  search: z.string().trim().max(200).default(''),
  only: z.enum(['all', 'waiting', 'paused', 'trouble']).default('all'),
  page: z.coerce.number().int().min(0).max(10_000).default(0),
});
const PAGE = 50;
/** A list for people; beyond this many the search finds nobody, and the answer says so. */
const SENDERS_MAX = 10_000;

/** `/dashboard/api/senders`: all senders with what they do, those in trouble first, then the busiest. */
export function senderReads(app: FastifyInstance, { live, record }: DashboardParts): void {
  const known = keptNames<SenderName>(app, '/admin/senders', () => record.senders.names(SENDERS_MAX));

  app
    .withTypeProvider<ZodTypeProvider>()
    .get(
      '/dashboard/api/senders',
      { config: { access: 'viewer' }, schema: { hide: true, querystring: query } },
      async (request) => {
        const { search, only, page } = request.query;
        const [all, busy] = await Promise.all([known(), live.senders()]);
        const wanted = search.toLowerCase();
        const places = new Map(busy.map((sender, place) => [sender.id, { sender, place }]));
        const rows = all
          .filter(({ id, tenant }) => wanted === '' || `${id}\n${tenant ?? ''}`.toLowerCase().includes(wanted))
          .map((one) => ({ row: rowOf(one, places.get(one.id)?.sender), place: places.get(one.id)?.place ?? Infinity }))
          .filter(({ row }) => isWanted(row, only))
          .sort((a, b) => a.place - b.place || (a.row.id < b.row.id ? -1 : 1))
          .map(({ row }) => row);
        return {
          items: rows.slice(page * PAGE, (page + 1) * PAGE),
          total: rows.length,
          page,
          pageSize: PAGE,
          isCut: all.length >= SENDERS_MAX,
        };
      },
    );
}

/** What the queue does not know has no messages: its limits come with the first one. */
function rowOf({ id, tenant, provider, pausedReason }: SenderName, live: LiveSender | undefined): LiveSender {
  if (live !== undefined) return { ...live, tenant, provider };
  const idle = { sentPerSecond: 0, allowedPerSecond: 0, ratePerSecond: 0, inFlight: 0, concurrency: 0 };
  const nothing = { waiting: 0, parked: 0, tenants: 0, quality: null, circuitUntilMs: null };
  return { id, tenant, provider, state: pausedReason === null ? 'idle' : 'paused', pausedReason, ...idle, ...nothing };
}

function isWanted({ state, waiting, inFlight, parked }: LiveSender, only: z.infer<typeof query>['only']): boolean {
  switch (only) {
    case 'all':
      return true;
    case 'waiting':
      return waiting + inFlight + parked > 0;
    case 'paused':
      return state === 'paused';
    case 'trouble':
      return state === 'paused' || state === 'circuit' || state === 'slowed';
  }
}

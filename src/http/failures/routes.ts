import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { AppError } from '../../errors/app-error.ts';
import type { ActReport, Selection, WaxwingFailures } from '../../failures/index.ts';
import type { WaxwingRecord } from '../../record/index.ts';
import { idParams } from '../messages/schemas.ts';
import { pageOf } from '../paging.ts';
import { personOf } from '../plugins/auth.ts';
import { isRevealed, revealField, revealQuery } from '../reveal.ts';
import { maskFailure, maskLetter } from './mask.ts';
import {
  actBody,
  actReport,
  exportQuery,
  failureQuery,
  failureSchema,
  failureView,
  filterOf,
  letterDetailSchema,
  letterDetailView,
  letterQuery,
  letterSchema,
  letterView,
  msOf,
} from './schemas.ts';

export interface FailureRouteOptions {
  readonly failures: Pick<WaxwingFailures, 'deadLetters' | 'countOverdueStatuses'>;
  readonly record: Pick<WaxwingRecord, 'failures' | 'audit'>;
}

const tags = ['failures'];
const count = z.int().min(0);
const summarySchema = z.object({
  pending: count,
  resolved: count,
  failed: count,
  overdueStatuses: count.describe('Sent for longer than STATUS_WATCHDOG_SECONDS, and no status since.'),
  codes: z
    .array(z.object({ code: z.string(), status: z.string(), count }))
    .describe('The most frequent first; a code that no table knows stands under its own name.'),
});

/** `/admin/failures` and `/admin/dead-letters`. */
export function failureRoutes(app: FastifyInstance, { failures, record }: FailureRouteOptions): void {
  const { deadLetters } = failures;
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get(
    '/admin/failures',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'List the failure record, newest first',
        querystring: failureQuery.extend(revealField),
        response: { 200: pageOf(failureSchema) },
      },
    },
    async (request) => {
      const { from, to, reveal, ...filter } = request.query;
      const isClear = await isRevealed(record, request, reveal, 'failures');
      const page = await record.failures.list({ ...filter, fromMs: msOf(from), toMs: msOf(to) });
      return { items: page.items.map(failureView).map((one) => (isClear ? one : maskFailure(one))), next: page.next };
    },
  );

  routes.get(
    '/admin/failures/summary',
    {
      config: { access: 'viewer' },
      schema: { tags, summary: 'Count failures by state and by code', response: { 200: summarySchema } },
    },
    async () => {
      const [counts, codes, overdueStatuses] = await Promise.all([
        record.failures.counts(),
        record.failures.byCode(),
        failures.countOverdueStatuses(),
      ]);
      return { ...counts, overdueStatuses, codes: codes.map((one) => ({ ...one })) };
    },
  );

  routes.get(
    '/admin/failures/:id',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'Read a failure',
        params: idParams,
        querystring: revealQuery,
        response: { 200: failureSchema },
      },
    },
    async (request) => {
      const { id } = request.params;
      const failure = await record.failures.get(id);
      if (failure === null) throw new AppError('NOT_FOUND', { detail: 'There is no failure with this id.' });
      const isClear = await isRevealed(record, request, request.query.reveal, `failure ${id}`);
      return isClear ? failureView(failure) : maskFailure(failureView(failure));
    },
  );

  routes.get(
    '/admin/dead-letters',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'List dead letters, newest first',
        description: 'Messages that will not be tried again unless a person redrives them.',
        querystring: letterQuery,
        response: { 200: pageOf(letterSchema) },
      },
    },
    async (request) => {
      const { cursor, limit, ...filter } = request.query;
      const page = await deadLetters.list({ ...filterOf(filter), cursor, limit });
      return { items: page.items.map(letterView), next: page.next };
    },
  );

  routes.get(
    '/admin/dead-letters/export',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'Export dead letters as NDJSON',
        description: 'One JSON object per line, in the shape of a single dead letter, newest first.',
        querystring: exportQuery.extend(revealField),
        response: { 200: { content: { 'application/x-ndjson': { schema: z.string() } } } },
      },
    },
    async (request, reply) => {
      const { reveal, ...filter } = request.query;
      const isClear = await isRevealed(record, request, reveal, 'dead-letters export', filter);
      const lines = ndjson(filterOf(filter), isClear);
      // The first line is asked for before the answer begins, so that a record that is away is a 503 and not a cut.
      const first = await lines.next();
      const stream = Readable.from(
        (async function* () {
          if (first.done !== true) yield first.value;
          yield* lines;
        })(),
      );
      return await reply
        .header('content-type', 'application/x-ndjson')
        .header('content-disposition', 'attachment; filename="dead-letters.ndjson"')
        .send(stream as never);
    },
  );

  routes.get(
    '/admin/dead-letters/:id',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'Read a dead letter, with its attempts and what to do',
        params: idParams,
        querystring: revealQuery,
        response: { 200: letterDetailSchema },
      },
    },
    async (request) => {
      const { id } = request.params;
      const view = letterDetailView(await deadLetters.get(id));
      const isClear = await isRevealed(record, request, request.query.reveal, `dead-letter ${id}`);
      return isClear ? view : maskLetter(view);
    },
  );

  for (const word of ['redrive', 'discard'] as const) {
    routes.post(
      `/admin/dead-letters/${word}`,
      {
        config: { access: 'operator' },
        schema: {
          tags,
          summary: word === 'redrive' ? 'Send dead letters again' : 'Give dead letters up for good',
          description:
            word === 'redrive'
              ? 'New attempts of the same messages, at the pace of all others. Expiry and the 24-hour window are looked at again. A message whose outcome is unknown is resent.'
              : 'A message whose outcome is unknown is closed as failed.',
          body: actBody,
          response: { 200: actReport },
        },
      },
      async (request) => {
        const { ids, filter, after, dryRun } = request.body;
        const selection: Selection = ids === undefined ? { filter: filterOf(filter ?? {}), after } : { ids };
        const by = personOf(request).name;
        const report = await deadLetters[word](selection, by, dryRun);
        if (!dryRun && report.affected > 0) await note(request, word, filter, report);
        return { ...report, items: report.items.map((item) => ({ ...item })) };
      },
    );
  }

  async function* ndjson(filter: ReturnType<typeof filterOf>, isClear: boolean): AsyncGenerator<string, void> {
    for await (const detail of deadLetters.export(filter)) {
      const view = letterDetailView(detail);
      yield `${JSON.stringify(isClear ? view : maskLetter(view))}\n`;
    }
  }

  /** Who did what to which messages; their timelines tell it too. */
  async function note(request: FastifyRequest, word: string, filter: unknown, report: ActReport): Promise<void> {
    const ids = report.items.filter(({ result }) => result === 'done').map(({ id }) => id);
    await record.audit.add({
      actor: personOf(request).name,
      action: `dead-letter.${word}`,
      target: ids.length === 1 ? (ids[0] ?? '') : `${ids.length} messages`,
      detail: { filter: filter ?? null, ids },
    });
  }
}

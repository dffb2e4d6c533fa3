import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ActReport, Selection, WaxwingFailures } from '../../failures/index.ts';
import type { WaxwingRecord } from '../../record/index.ts';
import { idParams } from '../messages/schemas.ts';
import { pageOf } from '../paging.ts';
import { personOf } from '../plugins/auth.ts';
import { isRevealed, revealField, revealQuery } from '../reveal.ts';
import { linesOf } from './export.ts';
import { maskLetter } from './mask.ts';
import {
  actBody,
  actReport,
  exportQuery,
  filterOf,
  letterDetailSchema,
  letterDetailView,
  letterQuery,
  letterSchema,
  letterView,
} from './schemas.ts';

export interface DeadLetterRouteOptions {
  readonly deadLetters: WaxwingFailures['deadLetters'];
  readonly record: Pick<WaxwingRecord, 'audit'>;
}

const tags = ['failures'];

/** `/admin/dead-letters`: to read them, and to send them again or give them up. */
export function deadLetterRoutes(app: FastifyInstance, options: DeadLetterRouteOptions): void {
  const { deadLetters, record } = options;
  const routes = app.withTypeProvider<ZodTypeProvider>();

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
      const lines = await linesOf(deadLetters.export(filterOf(filter)), isClear);
      return await reply
        .header('content-type', 'application/x-ndjson')
        .header('content-disposition', 'attachment; filename="dead-letters.ndjson"')
        .send(lines as never);
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

  actRoutes(app, options);
}

function actRoutes(app: FastifyInstance, { deadLetters, record }: DeadLetterRouteOptions): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

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
        if (!dryRun && report.affected > 0) await note(record.audit, request, word, filter, report);
        return { ...report, items: report.items.map((item) => ({ ...item })) };
      },
    );
  }
}

/** Who did what to which messages; their timelines tell it too. */
async function note(
  audit: WaxwingRecord['audit'],
  request: FastifyRequest,
  word: string,
  filter: unknown,
  report: ActReport,
): Promise<void> {
  const ids = report.items.filter(({ result }) => result === 'done').map(({ id }) => id);
  await audit.add({
    actor: personOf(request).name,
    action: `dead-letter.${word}`,
    target: ids.length === 1 ? (ids[0] ?? '') : `${ids.length} messages`,
    detail: { filter: filter ?? null, ids },
  });
}

import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { AppError } from '../../errors/app-error.ts';
import type { WaxwingFailures } from '../../failures/index.ts';
import type { WaxwingRecord } from '../../record/index.ts';
import { idParams } from '../messages/schemas.ts';
import { pageOf } from '../paging.ts';
import { periodOf } from '../period.ts';
import { isRevealed, revealField, revealQuery } from '../reveal.ts';
import { deadLetterRoutes } from './dead-letters.ts';
import { maskFailure } from './mask.ts';
import { failureQuery, failureSchema, failureView, summarySchema } from './schemas.ts';

export interface FailureRouteOptions {
  readonly failures: Pick<WaxwingFailures, 'deadLetters' | 'countOverdueStatuses'>;
  readonly record: Pick<WaxwingRecord, 'failures' | 'audit'>;
}

const tags = ['failures'];

/** `/admin/failures`, and `/admin/dead-letters` beside it. */
export function failureRoutes(app: FastifyInstance, { failures, record }: FailureRouteOptions): void {
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
      const page = await record.failures.list({ ...filter, ...periodOf({ from, to }) });
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

  deadLetterRoutes(app, { deadLetters: failures.deadLetters, record });
}

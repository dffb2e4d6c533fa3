import type { FastifyRequest } from 'fastify';
import type { WaxwingRecord } from '../../record/index.ts';
import { audited } from '../audit/audited.ts';
import { personOf } from '../plugins/auth.ts';
import type { Wish } from './wish.ts';

/** Does what was wished, and writes down who did it: nothing is done that cannot be written. */
export async function act<T extends object>(
  audit: WaxwingRecord['audit'],
  request: FastifyRequest,
  name: string,
  wish: Wish,
  run: (by: string) => Promise<T>,
): Promise<T> {
  const by = personOf(request).name;
  const begun = {
    actor: by,
    action: `stream.${name}`,
    target: wish.sender === undefined ? `shard ${wish.name}` : `sender ${wish.sender}`,
    detail: { shard: wish.shard ?? 'all' },
  };
  return await audited({ audit, log: request.log }, begun, () => run(by));
}

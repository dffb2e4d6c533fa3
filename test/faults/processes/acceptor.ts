import { RedisSendQueue } from '../../../src/engine/queue.ts';
import { acceptThrough, Load } from '../harness/load.ts';
import type { AcceptorProgram } from '../harness/protocol.ts';
import { onTold, programOptions, tell } from './supervised.ts';

/* An accepting process that dies with its host: the supervisor keeps what it had answered. */

const { redisUrl, shape, seed, ratePerSecond } = programOptions() as AcceptorProgram;
const queue = new RedisSendQueue({ redis: { url: redisUrl, db: 0 }, shards: 1 });
onTold(() => undefined);
await queue.connect(15_000);
const load = new Load(shape, acceptThrough(queue, shape.tenantConcurrency), seed);
load.onOp = ({ op, state, id }) => {
  if (state === 'trying') tell({ type: 'try', op });
  else if (state === 'ok') tell({ type: 'ok', op, id: id ?? '' });
};
tell({ type: 'ready' });
load.start(ratePerSecond);

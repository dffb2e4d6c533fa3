import type { Held } from './held.ts';
import type { EngineOptions } from './options.ts';
import type { OwnLeases } from './own-leases.ts';
import type { QueueWall } from './queue-wall.ts';
import type { ScriptRunner } from './script-runner.ts';
import type { StartBy } from './start-by.ts';

/** What the parts of a worker's end of one shard share. */
export interface LinkParts {
  readonly runner: ScriptRunner;
  readonly shard: number;
  readonly worker: string;
  readonly engine: EngineOptions;
  readonly held: Held;
  readonly leases: OwnLeases;
  readonly startBy: StartBy;
  readonly wall: QueueWall;
}

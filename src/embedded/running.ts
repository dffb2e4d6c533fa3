import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRunning } from './process-identity.ts';
import { readServerRecord } from './server-record.ts';

/** Addresses of the embedded servers that another program runs on this data folder now. */
export interface RunningServices {
  readonly redisUrl: string | undefined;
  readonly databaseUrl: string | undefined;
}

/** Looks without touching anything: `waxwing doctor` looks at a running program this way. */
export function findRunning(dataDir: string): RunningServices {
  const redis = address(join(dataDir, 'redis'));
  const postgres = address(join(dataDir, 'postgres'));
  return {
    redisUrl: redis === undefined ? undefined : `redis://:${redis}`,
    databaseUrl: postgres === undefined ? undefined : `postgres://postgres:${postgres}/waxwing`,
  };
}

/** `<password>@127.0.0.1:<port>` of a server that runs; undefined when none does. */
function address(home: string): string | undefined {
  const record = readServerRecord(join(home, 'server.json'));
  const passwordFile = join(home, 'password');
  if (record === undefined || !isRunning(record.process) || !existsSync(passwordFile)) return undefined;
  return `${readFileSync(passwordFile, 'utf8').trim()}@127.0.0.1:${record.port}`;
}

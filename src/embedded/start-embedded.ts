import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { keptSecret, lockDataFolder, prepareDataFolder } from './data-folder.ts';
import { startPostgres, type PostgresServer } from './postgres-server.ts';
import { startRedis, type RedisServer } from './redis-server.ts';
import type { ServerEvent } from './supervised-child.ts';

export type EmbeddedServerName = 'redis' | 'postgres';

export interface StartEmbeddedOptions {
  /** `WAXWING_DATA_DIR`; made with mode 0700 when missing. */
  readonly dataDir: string;
  /** Is an own Redis wanted, that is: no `REDIS_URL` was given. */
  readonly redis: boolean;
  /** REDIS_SERVER_BIN of the settings, which may come from a file or from code; default: of the environment. */
  readonly redisProgram?: string | undefined;
  /** Is an own PostgreSQL wanted, that is: no `DATABASE_URL` was given. */
  readonly postgres: boolean;
  /** Told in sentences what goes on; no secrets in them. */
  readonly onLog?: (sentence: string) => void;
  /**
   * Told when a server started, died or came back, with a sentence for a person; undefined for the first start. Without
   * it `onLog` gets the sentences.
   */
  readonly onEvent?: (server: EmbeddedServerName, event: ServerEvent, sentence: string | undefined) => void;
}

export interface EmbeddedServices {
  /** Where the own Redis keeps what it accepts; undefined when no own Redis was asked for. */
  readonly redisFolder: string | undefined;
  /** With its password; undefined when no own Redis was asked for. It stays the same over restarts of the server. */
  readonly redisUrl: string | undefined;
  /** With its password; undefined when no own PostgreSQL was asked for. */
  readonly databaseUrl: string | undefined;
  /** The ids of the running servers. */
  readonly pids: { readonly redis: number | undefined; readonly postgres: number | undefined };
  /** Ends both in order, with everything on disk, and gives the data folder back. May be called twice. */
  stop(): Promise<void>;
}

const TITLES = { redis: 'Redis', postgres: 'PostgreSQL' } as const;

/** Without its full stop: it stands within a sentence. */
function bare(reason: string): string {
  return reason.replace(/\.$/, '');
}

function sentenceOf(server: EmbeddedServerName, event: ServerEvent): string | undefined {
  const title = TITLES[server];
  switch (event.kind) {
    case 'started':
      return undefined;
    case 'died':
      return `${title} ended unexpectedly (${bare(event.reason)}); starting it again in ${event.restartInMs} ms.`;
    case 'restarted':
      return `${title} is running again (process ${event.pid}).`;
    case 'restart-failed':
      return `${title} could not be started again (${bare(event.reason)}); next try in ${event.restartInMs} ms.`;
  }
}

/**
 * Starts the embedded servers on a data folder that this process then has to itself: a Redis that fsyncs every write
 * and a PostgreSQL, on loopback with passwords of their own, restarted on the same ports when they die, ended with
 * this process. What a killed process left running on the folder is ended first.
 * @throws EmbeddedError when the folder is in use, or a server cannot be found or started; nothing is left running
 */
export async function startEmbedded(options: StartEmbeddedOptions): Promise<EmbeddedServices> {
  if (!options.redis && !options.postgres) {
    return {
      redisFolder: undefined,
      redisUrl: undefined,
      databaseUrl: undefined,
      pids: { redis: undefined, postgres: undefined },
      stop: () => Promise.resolve(),
    };
  }
  const log = options.onLog ?? ((): void => undefined);
  const folder = prepareDataFolder(options.dataDir);
  const lock = await lockDataFolder(folder, log);

  const common = (server: EmbeddedServerName) => {
    const home = join(folder, server);
    mkdirSync(home, { recursive: true, mode: 0o700 });
    return {
      folder: home,
      // Everybody on the machine can connect to loopback, and these servers can be told to write files and run programs.
      password: keptSecret(join(home, 'password'), () => randomBytes(24).toString('hex')),
      onProgress: log,
      onEvent: (event: ServerEvent): void => {
        const sentence = sentenceOf(server, event);
        if (options.onEvent !== undefined) options.onEvent(server, event, sentence);
        else if (sentence !== undefined) log(sentence);
      },
    };
  };

  let redis: RedisServer | undefined;
  let postgres: PostgresServer | undefined;
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping ??= Promise.allSettled([redis?.stop(), postgres?.stop()]).then((ends) => {
      lock.release();
      for (const end of ends) if (end.status === 'rejected') throw end.reason;
    });
    return stopping;
  };

  const program = options.redisProgram === undefined ? {} : { program: options.redisProgram };
  const starts = await Promise.allSettled([
    options.redis ? startRedis({ ...common('redis'), ...program }).then((server) => (redis = server)) : undefined,
    options.postgres ? startPostgres(common('postgres')).then((server) => (postgres = server)) : undefined,
  ]);
  const failed = starts.find((start) => start.status === 'rejected');
  if (failed !== undefined) {
    await stop();
    throw failed.reason;
  }
  return {
    redisFolder: redis === undefined ? undefined : join(folder, 'redis'),
    redisUrl: redis?.url,
    databaseUrl: postgres?.url,
    get pids() {
      return { redis: redis?.pid, postgres: postgres?.pid };
    },
    stop,
  };
}

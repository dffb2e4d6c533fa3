import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { assertRoom, lackOfRoom } from './disk-room.ts';
import { EmbeddedError } from './embedded-error.ts';
import { freePort } from './free-port.ts';
import { endLeftovers } from './leftover.ts';
import { keepLogShort, lastLines, lastWords } from './log-file.ts';
import { findRedis, redisEnvironment, type RedisBinary } from './redis-binary.ts';
import { askRedis } from './redis-ready.ts';
import { mendTornLog } from './redis-torn-log.ts';
import { readServerRecord, rememberChild, removeServerRecord } from './server-record.ts';
import { endChild, hasEnded, superviseChild, type ServerEvent } from './supervised-child.ts';

export interface StartRedisOptions {
  /** Where its files live: made when missing. The caller sees to it that no other owner uses it. */
  readonly folder: string;
  /** Default: none. Letters and digits only. */
  readonly password?: string;
  /** Settings beside ours, by Redis' own names; they win over ours. For tests. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Default: what `findRedis` finds. */
  readonly binary?: RedisBinary;
  /** As for `findRedis`. */
  readonly program?: string;
  /** Is it started again when it dies. Default true. */
  readonly isSupervised?: boolean;
  /** The port to take when it is free; default the one it had the last time. */
  readonly port?: number;
  readonly onEvent?: (event: ServerEvent) => void;
  readonly onProgress?: (sentence: string) => void;
}

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** The id of the running process. */
  readonly pid: number;
  stop(): Promise<void>;
}

/** Without an answer for this long, and without a word that it is reading its data, a start has failed. */
const SILENT_MS_MAX = 30_000;
/** Another program can take the free port before Redis does; three times in a row is something else. */
const START_TRIES = 3;
const LOG_NAME = 'redis.log';

function quoted(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

function configuration(folder: string, port: number, options: StartRedisOptions): string {
  const settings: Record<string, string> = {
    port: String(port),
    bind: '127.0.0.1',
    // Without `dir` a later CONFIG SET appendonly yes would write into whatever folder it was started in.
    dir: folder,
    logfile: LOG_NAME,
    databases: '16',
    // Accepted is kept: a write is answered after it is on disk. Nothing may be evicted from a queue.
    appendonly: 'yes',
    appendfsync: 'always',
    'maxmemory-policy': 'noeviction',
    ...(options.password === undefined ? {} : { requirepass: options.password }),
    ...options.settings,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} ${quoted(value)}`);
  // Snapshots are off: the append-only file is the record, and a forked save would only cost time.
  return [...lines, 'save ""', ''].join('\n');
}

/** A rewriting of the log that was killed leaves a second log behind, which nobody reads and Redis never removes. */
function removeUnfinished(folder: string): void {
  for (const name of readdirSync(folder))
    if (/^temp-.*\.(?:aof|rdb)$/.test(name)) rmSync(join(folder, name), { force: true });
}

async function launch(
  binary: RedisBinary,
  folder: string,
  port: number,
  options: StartRedisOptions,
): Promise<ChildProcess> {
  removeUnfinished(folder);
  await assertRoom(folder, 'Redis');
  // A session of its own: Ctrl-C in the terminal ends the owner, which still needs Redis while it finishes.
  const child = spawn(binary.path, ['-'], {
    cwd: folder,
    env: redisEnvironment(binary),
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  let failure: Error | undefined;
  child.on('error', (error) => (failure = error));
  child.stdin.on('error', (error) => (failure ??= error));
  // Before it gets its configuration: it does nothing until then.
  await rememberChild(join(folder, 'server.json'), child, port);
  child.stdin.end(configuration(folder, port, options));
  let silentSinceMs = performance.now();
  for (;;) {
    const answer = await askRedis(port, options.password);
    if (answer.kind === 'ready' && answer.pid === child.pid) {
      await mendTorn(child, folder, port, options);
      return child;
    }
    if (answer.kind === 'loading') silentSinceMs = performance.now();
    const isSilent = performance.now() - silentSinceMs > SILENT_MS_MAX;
    if (child.pid === undefined || hasEnded(child) || isSilent) {
      if (child.pid !== undefined && !hasEnded(child)) await endChild(child, 'SIGTERM', 2_000);
      const why = failure?.message ?? lastLines(join(folder, LOG_NAME), /#|Fatal|error/i);
      throw new EmbeddedError(
        'REDIS_FAILED',
        `Redis did not start in ${folder}: ${why || 'it gave no reason'}`,
        failure,
      );
    }
    await delay(10);
  }
}

/** Its own last warnings, and whether its disk is full: with every write fsynced, Redis ends when it cannot write. */
async function explainDeath(folder: string, pid: number): Promise<string> {
  const complaint = `(?!WARNING).*(?:write|[Ee]rror|[Ff]atal|[Cc]an't|[Ff]ailed|crashed).*`;
  const said = lastWords(join(folder, LOG_NAME), new RegExp(`^${pid}:\\w .*? # (${complaint})`));
  return [said, await lackOfRoom(folder)].filter((words) => words !== '').join('; ');
}

/** Nobody is told that it is ready before its log is whole. */
async function mendTorn(child: ChildProcess, folder: string, port: number, options: StartRedisOptions): Promise<void> {
  const { password } = options;
  try {
    const torn = { log: join(folder, LOG_NAME), port, password, pid: child.pid ?? 0 };
    if (await mendTornLog(torn)) options.onProgress?.("The end of Redis' log was torn off; the log was rewritten.");
  } catch (error) {
    await endChild(child, 'SIGTERM', 2_000);
    throw error;
  }
}

/**
 * Starts a real Redis on loopback with every write fsynced before it is answered, and keeps it running on the same
 * port. A server that a killed owner left on the folder is ended first.
 * @throws EmbeddedError `REDIS_MISSING`, `REDIS_FAILED`
 */
export async function startRedis(options: StartRedisOptions): Promise<RedisServer> {
  const { program, onProgress } = options;
  const wish = { ...(program === undefined ? {} : { program }), ...(onProgress === undefined ? {} : { onProgress }) };
  const binary = options.binary ?? (await findRedis(wish));
  mkdirSync(options.folder, { recursive: true, mode: 0o700 });
  const folder = realpathSync(options.folder);
  const record = join(folder, 'server.json');
  const last = readServerRecord(record);
  await endLeftovers({
    folder,
    looksLike: /redis|valkey/,
    remembered: last === undefined ? [] : [last.process],
    isScanned: true,
    signal: 'SIGTERM',
    onFound: (pid) => options.onProgress?.(`Ending Redis ${pid}, which an owner that was killed left running.`),
  });
  keepLogShort(join(folder, LOG_NAME));

  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort(attempt === 1 ? (options.port ?? last?.port) : undefined);
    try {
      const start = (): Promise<ChildProcess> => launch(binary, folder, port, options);
      const child = await superviseChild({
        launch: start,
        stopSignal: 'SIGTERM',
        stopTimeoutMs: 10_000,
        isRestarted: options.isSupervised ?? true,
        explainDeath: (pid) => explainDeath(folder, pid),
        ...(options.onEvent ? { onEvent: options.onEvent } : {}),
      });
      return {
        url: `redis://${options.password === undefined ? '' : `:${options.password}@`}127.0.0.1:${port}`,
        port,
        get pid() {
          return child.pid;
        },
        async stop() {
          await child.stop();
        },
      };
    } catch (error) {
      removeServerRecord(record);
      const isPortTaken = error instanceof Error && /Address already in use|bind/i.test(error.message);
      if (!isPortTaken || attempt >= START_TRIES) throw error;
    }
  }
}

import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { assertRoom, lackOfRoom } from './disk-room.ts';
import { EmbeddedError } from './embedded-error.ts';
import { freePort } from './free-port.ts';
import { endLeftovers } from './leftover.ts';
import { keepLogShort, lastLines, lastWords } from './log-file.ts';
import { createCluster } from './postgres-cluster.ts';
import { findPostgres } from './postgres-package.ts';
import { clusterOf, type Cluster } from './postgres-place.ts';
import { identify } from './process-identity.ts';
import { serverUser } from './reach.ts';
import { readServerRecord, rememberChild, removeServerRecord } from './server-record.ts';
import { endChild, hasEnded, superviseChild, type ServerEvent } from './supervised-child.ts';

export interface StartPostgresOptions {
  /** Where its files live: made when missing. The caller sees to it that no other owner uses it. */
  readonly folder: string;
  /** Default: none, every local connection is trusted. Letters and digits only. Read when the cluster is made. */
  readonly password?: string;
  /** The database that is made beside `postgres`. Default `waxwing`. */
  readonly database?: string;
  /** false turns fsync off: faster, and lost with the machine's power. For tests. Default true. */
  readonly isDurable?: boolean;
  /** Settings beside ours, by PostgreSQL's own names; they win over ours. */
  readonly settings?: Readonly<Record<string, string>>;
  /** See `ClusterOptions`. */
  readonly throughWorkingFolder?: boolean;
  readonly onEvent?: (event: ServerEvent) => void;
  readonly onProgress?: (sentence: string) => void;
}

export interface PostgresServer {
  /** With the database named in the options. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** The cluster's folder. */
  readonly clusterFolder: string;
  stop(): Promise<void>;
}

const SILENT_MS_MAX = 30_000;
const START_TRIES = 3;

/** What the server writes about itself: its id on line 1, its state on line 8 (this is how pg_ctl waits, too). */
function postmasterFile(cluster: Cluster): { pid: number; state: string } | undefined {
  try {
    const lines = readFileSync(join(cluster.folder, 'postmaster.pid'), 'utf8').split('\n');
    return { pid: Number(lines[0]), state: (lines[7] ?? '').trim() };
  } catch {
    return undefined;
  }
}

function settingsOf(options: StartPostgresOptions): string[] {
  const durable = options.isDurable === false ? 'off' : 'on';
  const settings: Record<string, string> = {
    listen_addresses: '127.0.0.1',
    // Loopback is the one way in: a socket file would need a folder that both users can reach.
    unix_socket_directories: '',
    max_connections: '200',
    fsync: durable,
    synchronous_commit: durable,
    full_page_writes: durable,
    timezone: 'UTC',
    log_timezone: 'UTC',
    ...options.settings,
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

interface LaunchOptions {
  readonly program: string;
  readonly cluster: Cluster;
  readonly port: number;
  readonly log: string;
  readonly record: string;
  readonly settings: readonly string[];
}

async function launch({ program, cluster, port, log, record, settings }: LaunchOptions): Promise<ChildProcess> {
  await assertRoom(cluster.folder, 'PostgreSQL');
  const output = openSync(log, 'a', 0o600);
  let failure: Error | undefined;
  const child = spawn(program, ['-D', cluster.serverPath, '-p', String(port), ...settings], {
    cwd: cluster.folder,
    stdio: ['ignore', output, output],
    // A session of its own: Ctrl-C in the terminal ends the owner, which still needs the record while it finishes.
    detached: true,
    windowsHide: true,
    ...cluster.user,
  });
  child.on('error', (error) => (failure = error));
  closeSync(output);
  await rememberChild(record, child, port);
  let silentSinceMs = performance.now();
  for (;;) {
    const said = postmasterFile(cluster);
    const isOurs = said !== undefined && said.pid === child.pid;
    if (isOurs && said.state === 'ready') return child;
    // Recovery after a crash may take long; it says `starting` meanwhile.
    if (isOurs && said.state === 'starting') silentSinceMs = performance.now();
    const isSilent = performance.now() - silentSinceMs > SILENT_MS_MAX;
    if (child.pid === undefined || hasEnded(child) || isSilent) {
      if (child.pid !== undefined && !hasEnded(child)) await endChild(child, 'SIGINT', 5_000);
      const why = failure?.message ?? (lastWords(log, LAST_WORDS) || lastLines(log, /could not|error while loading/));
      throw new EmbeddedError(
        'POSTGRES_FAILED',
        `PostgreSQL did not start: ${why || 'it gave no reason'} (log: ${log})`,
        failure,
      );
    }
    await delay(10);
  }
}

const LAST_WORDS = /((?:PANIC|FATAL): +(?! |the database system|terminating|password|database ").*)/;

/** Its own last words, save what it told clients while it could not serve, and whether its disk is full. */
async function explainDeath({ folder }: Cluster, log: string): Promise<string> {
  const said = lastWords(log, LAST_WORDS);
  return [said, await lackOfRoom(folder)].filter((words) => words !== '').join('; ');
}

/** Ends what a killed owner or a killed server left, and removes a lock file that nobody stands behind. */
async function clearLeftovers(
  cluster: Cluster,
  record: string,
  onProgress?: (sentence: string) => void,
): Promise<void> {
  const last = readServerRecord(record)?.process;
  const said = postmasterFile(cluster);
  const named = said === undefined ? undefined : identify(said.pid);
  const common = { folder: cluster.folder, looksLike: /postgres/ };
  await endLeftovers({
    ...common,
    remembered: last === undefined ? [] : [last],
    named: named === undefined ? [] : [named],
    signal: 'SIGINT',
    onFound: (pid) => onProgress?.(`Ending PostgreSQL ${pid}, which an owner that was killed left running.`),
  });
  // Processes of a server that was killed end by themselves as a rule; a new server refuses to start beside them.
  await endLeftovers({ ...common, remembered: [], isScanned: true, signal: 'SIGQUIT' });
  rmSync(join(cluster.folder, 'postmaster.pid'), { force: true });
}

/**
 * Starts a real PostgreSQL on loopback, fsync on, and keeps it running on the same port. As root it runs as another
 * user. A server that a killed owner left on the folder is ended first.
 * @throws EmbeddedError `POSTGRES_MISSING`, `POSTGRES_FAILED`
 */
export async function startPostgres(options: StartPostgresOptions): Promise<PostgresServer> {
  const { onProgress } = options;
  const database = options.database ?? 'waxwing';
  mkdirSync(options.folder, { recursive: true, mode: 0o700 });
  const home = realpathSync(options.folder);
  const cluster = clusterOf({
    home,
    user: serverUser(),
    throughWorkingFolder: options.throughWorkingFolder,
    onProgress,
  });
  const programs = await findPostgres(cluster.user);
  const log = join(home, 'postgres.log');
  const record = join(home, 'server.json');
  const lastPort = readServerRecord(record)?.port;
  keepLogShort(log);
  await clearLeftovers(cluster, record, onProgress);
  const isDurable = options.isDurable ?? true;
  await createCluster({ cluster, programs, log, password: options.password, database, isDurable });

  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort(attempt === 1 ? lastPort : undefined);
    try {
      const settings = settingsOf(options);
      const child = await superviseChild({
        launch: async () => {
          await clearLeftovers(cluster, record, onProgress);
          return launch({ program: programs.postgres, cluster, port, log, record, settings });
        },
        // SIGINT is PostgreSQL's fast shutdown: sessions are ended, everything is written.
        stopSignal: 'SIGINT',
        stopTimeoutMs: 20_000,
        isRestarted: true,
        explainDeath: () => explainDeath(cluster, log),
        ...(options.onEvent ? { onEvent: options.onEvent } : {}),
      });
      const secret = options.password === undefined ? '' : `:${options.password}`;
      return {
        url: `postgres://postgres${secret}@127.0.0.1:${port}/${database}`,
        port,
        clusterFolder: cluster.folder,
        get pid() {
          return child.pid;
        },
        stop: () => child.stop(),
      };
    } catch (error) {
      removeServerRecord(record);
      const isPortTaken = error instanceof Error && /Address already in use/i.test(error.message);
      if (!isPortTaken || attempt >= START_TRIES) throw error;
    }
  }
}

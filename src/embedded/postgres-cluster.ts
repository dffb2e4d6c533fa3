import { spawn } from 'node:child_process';
import { chownSync, closeSync, existsSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EmbeddedError } from './embedded-error.ts';
import { lastLines } from './log-file.ts';
import type { PostgresPrograms } from './postgres-package.ts';
import type { Cluster } from './postgres-place.ts';
import type { ServerUser } from './reach.ts';

interface ProgramOptions {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly user: ServerUser | undefined;
  readonly log: string;
  readonly input?: string;
}

/** Runs one program to its end, with its words in the log. @throws EmbeddedError `POSTGRES_FAILED` */
async function runToEnd({ program, args, cwd, user, log, input }: ProgramOptions): Promise<void> {
  const output = openSync(log, 'a', 0o600);
  try {
    const code = await new Promise<number | string>((resolve) => {
      const child = spawn(program, args, { cwd, stdio: ['pipe', output, output], windowsHide: true, ...user });
      child.on('error', (error) => resolve(error.message));
      child.on('close', (exitCode, signal) => resolve(exitCode ?? signal ?? 'unknown'));
      child.stdin?.on('error', () => undefined);
      child.stdin?.end(input ?? '');
    });
    if (code === 0) return;
    const isMusl = typeof code === 'string' && code.includes('ENOENT');
    const isForbidden = typeof code === 'string' && /EPERM|EINVAL/.test(code);
    const reason = typeof code === 'string' ? code : lastLines(log, /error|fatal|could not|cannot/i);
    const advice = isMusl
      ? 'the package has no programs for this system (musl?): set DATABASE_URL to a PostgreSQL that runs already'
      : isForbidden
        ? `PostgreSQL may not run as root and this system does not let root start it as user ${user?.uid ?? ''}: start as another user or set DATABASE_URL`
        : reason;
    throw new EmbeddedError('POSTGRES_FAILED', `PostgreSQL could not be set up: ${advice}.`);
  } finally {
    closeSync(output);
  }
}

export interface CreateClusterOptions {
  readonly cluster: Cluster;
  readonly programs: PostgresPrograms;
  readonly log: string;
  /** Undefined: every local connection is trusted. */
  readonly password: string | undefined;
  readonly database: string;
  /** Are its files fsynced. */
  readonly isDurable: boolean;
}

/**
 * Creates the cluster unless it is there. It is made aside and renamed when complete, so that a start that was killed
 * half way leaves nothing that looks like a database.
 */
export async function createCluster(options: CreateClusterOptions): Promise<void> {
  const { cluster, programs, log, password, database } = options;
  const { user } = cluster;
  if (existsSync(join(cluster.folder, 'PG_VERSION'))) return;
  const work = `${cluster.folder}.new`;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true, mode: 0o700 });
  if (user) chownSync(work, user.uid, user.gid);
  const serverPath = cluster.serverPath === cluster.folder ? work : cluster.serverPath;
  const common = { cwd: work, user, log };
  const sync = options.isDurable ? [] : ['--no-sync'];
  await runToEnd({
    ...common,
    program: programs.initdb,
    args: ['-D', serverPath, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', ...sync],
  });
  // In single-user mode nothing listens yet: the password is set before anybody could connect without one.
  const statements = [
    `create database ${database};`,
    ...(password === undefined ? [] : [`alter role postgres password '${password}';`]),
  ];
  await runToEnd({
    ...common,
    program: programs.postgres,
    args: ['--single', '-D', serverPath, ...(options.isDurable ? [] : ['-F']), 'postgres'],
    input: `${statements.join('\n')}\n`,
  });
  const method = password === undefined ? 'trust' : 'scram-sha-256';
  writeFileSync(join(work, 'pg_hba.conf'), `host all all 127.0.0.1/32 ${method}\n`);
  rmSync(cluster.folder, { recursive: true, force: true });
  renameSync(work, cluster.folder);
}

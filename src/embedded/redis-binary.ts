import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from './cache-folder.ts';
import { EmbeddedError } from './embedded-error.ts';
import { unpackRedisPackage } from './redis-package.ts';

const run = promisify(execFile);

/** The lowest version whose commands the engine uses (functions, EVAL_RO, SSUBSCRIBE). */
const MAJOR_MIN = 7;

export interface RedisBinary {
  readonly path: string;
  /** Folders for LD_LIBRARY_PATH when the program was unpacked beside its libraries. */
  readonly libraryPath: string | undefined;
  /** As the program tells it, for example `7.0.15`; Valkey tells its own. */
  readonly version: string;
}

export interface FindRedisOptions {
  /** REDIS_SERVER_BIN as the settings have it; default: as the environment has it. */
  readonly program?: string;
  readonly environment?: NodeJS.ProcessEnv;
  /** Told what is going on when it takes longer, as when a package is fetched. */
  readonly onProgress?: (sentence: string) => void;
}

/** The environment in which a found program runs. */
export function redisEnvironment(binary: Pick<RedisBinary, 'libraryPath'>): NodeJS.ProcessEnv {
  if (binary.libraryPath === undefined) return process.env;
  const own = process.env['LD_LIBRARY_PATH'];
  return { ...process.env, LD_LIBRARY_PATH: own ? `${binary.libraryPath}:${own}` : binary.libraryPath };
}

async function inspect(path: string, libraryPath?: string): Promise<RedisBinary | string> {
  try {
    const { stdout } = await run(path, ['--version'], { env: redisEnvironment({ libraryPath }), timeout: 10_000 });
    const version = /\bv=(\d+)\.(\d+\.\d+)/.exec(stdout);
    if (version === null) return `${path} does not tell a version`;
    if (Number(version[1]) < MAJOR_MIN)
      return `${path} is version ${version[1] ?? ''}.${version[2] ?? ''}, and ${MAJOR_MIN}.0 is needed`;
    return { path, libraryPath, version: `${version[1] ?? ''}.${version[2] ?? ''}` };
  } catch (error) {
    return `${path} does not run (${(error as Error).message.split('\n').at(-1)?.trim() ?? ''})`;
  }
}

function onPath(name: string, environment: NodeJS.ProcessEnv): string[] {
  const found: string[] = [];
  for (const folder of (environment['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, name);
    try {
      if (folder !== '') accessSync(path, constants.X_OK);
      if (folder !== '') found.push(path);
    } catch {
      // Not in this folder.
    }
  }
  return found;
}

/** An unpacked Debian package: the server and the folders of its libraries. */
function unpackedIn(folder: string): { path: string; libraryPath: string } | undefined {
  const path = join(folder, 'usr/bin/redis-server');
  if (!existsSync(path)) return undefined;
  const libraries: string[] = [];
  for (const base of ['usr/lib', 'lib']) {
    const parent = join(folder, base);
    if (!existsSync(parent)) continue;
    for (const name of readdirSync(parent)) if (name.includes('-linux-')) libraries.push(join(parent, name));
  }
  return { path, libraryPath: libraries.join(':') };
}

function missing(reasons: readonly string[]): EmbeddedError {
  const tried = reasons.length === 0 ? '' : ` (tried: ${reasons.join('; ')})`;
  return new EmbeddedError(
    'REDIS_MISSING',
    `No Redis can be started here${tried}: install Redis or Valkey ${MAJOR_MIN} or newer, for example with ` +
      '`apt-get install redis-server` or `brew install redis`, or set REDIS_SERVER_BIN to a redis-server, or set ' +
      'REDIS_URL to a Redis that runs already.',
  );
}

/**
 * Finds a Redis (or Valkey) server program, version 7.0 or newer: `REDIS_SERVER_BIN`, then `redis-server` and
 * `valkey-server` on PATH, then our cache folder, then the Debian or Ubuntu package, fetched and unpacked into that
 * cache without root and without a change to the machine. A candidate counts only when it runs.
 * @throws EmbeddedError `REDIS_MISSING` with one sentence on what to install
 */
export async function findRedis(options: FindRedisOptions = {}): Promise<RedisBinary> {
  const environment = options.environment ?? process.env;
  const reasons: string[] = [];
  const consider = async (path: string, libraryPath?: string): Promise<RedisBinary | undefined> => {
    const result = await inspect(path, libraryPath);
    if (typeof result !== 'string') return result;
    reasons.push(result);
    return undefined;
  };

  const chosen = options.program ?? environment['REDIS_SERVER_BIN'];
  if (chosen !== undefined && chosen !== '') {
    const binary = await consider(chosen);
    if (binary !== undefined) return binary;
    options.onProgress?.(`REDIS_SERVER_BIN cannot be used: ${reasons[0] ?? chosen}. Looking for another Redis.`);
  }
  for (const path of [...onPath('redis-server', environment), ...onPath('valkey-server', environment)]) {
    const binary = await consider(path);
    if (binary !== undefined) return binary;
  }
  if (process.platform !== 'linux') throw missing(reasons);
  try {
    const folder = await unpackRedisPackage({
      cache: cacheFolder(environment),
      environment,
      isGood: async (candidate) => {
        const unpacked = unpackedIn(candidate);
        return unpacked !== undefined && typeof (await inspect(unpacked.path, unpacked.libraryPath)) !== 'string';
      },
      ...(options.onProgress ? { onProgress: options.onProgress } : {}),
    });
    const unpacked = unpackedIn(folder);
    const binary = unpacked && (await consider(unpacked.path, unpacked.libraryPath));
    if (binary) return binary;
  } catch (error) {
    reasons.push(error instanceof Error ? error.message : String(error));
  }
  throw missing(reasons);
}

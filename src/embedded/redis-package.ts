import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { waitForLock } from './file-lock.ts';

const run = promisify(execFile);

/** The server and those of its libraries that a small system lacks; the others belong to every system with apt. */
const PACKAGES = ['redis-server', 'redis-tools', 'libjemalloc2', 'liblzf1', 'libatomic1'];

export interface UnpackOptions {
  /** The cache folder; the unpacked files come to `redis-<architecture>` in it. */
  readonly cache: string;
  /** Does an unpacked folder hold a server that runs. */
  readonly isGood: (folder: string) => Promise<boolean>;
  /** Where the two tools are looked for first. */
  readonly environment: NodeJS.ProcessEnv;
  readonly onProgress?: (sentence: string) => void;
}

/** Also looked through when PATH is short, as under some service managers. */
const SYSTEM_PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

function systemEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const path = [environment['PATH'], ...SYSTEM_PATH]
    .filter((part) => part !== undefined && part !== '')
    .join(delimiter);
  // The language is fixed so that the reason in an error message is one that people can look up.
  return { ...environment, PATH: path, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' };
}

interface Tool {
  readonly name: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
}

const TOOL_MS_MAX = 120_000;

async function use({ name, args, cwd, env }: Tool): Promise<void> {
  try {
    await run(name, args, { cwd, env, timeout: TOOL_MS_MAX });
  } catch (error) {
    const failure = error as NodeJS.ErrnoException & { stderr?: string; killed?: boolean };
    if (failure.code === 'ENOENT') throw new Error(`${name} is not on this machine`, { cause: error });
    if (failure.killed) throw new Error(`${name} took longer than ${TOOL_MS_MAX / 1000} s`, { cause: error });
    const lines = (failure.stderr ?? failure.message).split('\n').filter((line) => line.trim() !== '');
    const reason =
      lines.find((line) => /^(E|W|Err|dpkg-deb: error)\b/.test(line)) ?? lines.at(-1) ?? 'it gave no reason';
    throw new Error(`${name} failed: ${reason.trim()}`, { cause: error });
  }
}

async function download(folder: string, env: NodeJS.ProcessEnv): Promise<void> {
  const lists = join(folder, 'lists');
  const cache = join(folder, 'cache');
  mkdirSync(join(lists, 'partial'), { recursive: true });
  mkdirSync(join(cache, 'archives/partial'), { recursive: true });
  // Lists and caches of our own: the machine's are neither read nor changed, and no rights of root are needed.
  const options = [
    `Dir::State::lists=${lists}`,
    `Dir::Cache=${cache}`,
    'APT::Sandbox::User=',
    'Debug::NoLocking=1',
    'Acquire::Retries=3',
  ].flatMap((option) => ['-o', option]);
  await use({ name: 'apt-get', args: [...options, 'update'], cwd: folder, env });
  await use({ name: 'apt-get', args: [...options, 'download', ...PACKAGES], cwd: folder, env });
}

/**
 * The folder with the unpacked Debian or Ubuntu package of Redis; fetches it with apt when it is not there yet. Needs
 * no root and changes nothing outside `cache`. Of several processes one works and the others wait for it.
 * @throws Error whose message says in a few words what failed
 */
export async function unpackRedisPackage(options: UnpackOptions): Promise<string> {
  const target = join(options.cache, `redis-${process.arch}`);
  if (existsSync(target) && (await options.isGood(target))) return target;
  const lock = await waitForLock(options.cache, 'redis-install.lock', {
    timeoutMs: 300_000,
    onWait: ({ pid }) => options.onProgress?.(`Waiting for process ${pid}, which fetches Redis.`),
  });
  try {
    if (existsSync(target) && (await options.isGood(target))) return target;
    options.onProgress?.(
      'No Redis on this machine: fetching the package of the distribution into the cache folder (7 MB).',
    );
    const work = join(options.cache, `redis-${process.arch}.${process.pid}.tmp`);
    rmSync(work, { recursive: true, force: true });
    mkdirSync(work, { recursive: true, mode: 0o700 });
    try {
      const env = systemEnvironment(options.environment);
      await download(work, env);
      const unpacked = join(work, 'unpacked');
      for (const file of readdirSync(work)) {
        if (file.endsWith('.deb')) await use({ name: 'dpkg-deb', args: ['-x', file, unpacked], cwd: work, env });
      }
      if (!(await options.isGood(unpacked)))
        throw new Error('the redis-server package of this distribution does not run or is older than 7.0');
      rmSync(target, { recursive: true, force: true });
      renameSync(unpacked, target);
      return target;
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  } finally {
    lock.release();
  }
}

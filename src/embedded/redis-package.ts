import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
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
  readonly onProgress?: (sentence: string) => void;
}

async function tool(name: string, args: readonly string[], cwd: string, timeoutMs: number): Promise<void> {
  try {
    // The language is fixed so that the reason in an error message is one that people can look up.
    await run(name, args, {
      cwd,
      timeout: timeoutMs,
      env: { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' },
    });
  } catch (error) {
    const failure = error as NodeJS.ErrnoException & { stderr?: string };
    if (failure.code === 'ENOENT') throw new Error(`${name} is not on this machine`);
    const lines = (failure.stderr ?? failure.message).split('\n').filter((line) => line.trim() !== '');
    const reason = lines.find((line) => /^(E|W|dpkg-deb: error|Err):?/.test(line)) ?? lines.at(-1);
    throw new Error(
      `${name} ${args.at(0)?.startsWith('-o') ? (args.find((arg) => /^(update|download)$/.test(arg)) ?? '') : ''} failed: ${reason?.trim() ?? 'no reason given'}`,
    );
  }
}

async function download(folder: string): Promise<void> {
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
  await tool('apt-get', [...options, 'update'], folder, 120_000);
  await tool('apt-get', [...options, 'download', ...PACKAGES], folder, 120_000);
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
      await download(work);
      const unpacked = join(work, 'unpacked');
      for (const file of readdirSync(work)) {
        if (file.endsWith('.deb')) await tool('dpkg-deb', ['-x', file, unpacked], work, 60_000);
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

import { chmodSync, existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { EmbeddedError } from './embedded-error.ts';
import { ELSEWHERE_STALE_MS, tryLock, type FileLock } from './file-lock.ts';

const LOCK = 'owner.lock';
const IGNORE = '*\n';

function closeToOthers(folder: string): void {
  try {
    chmodSync(folder, 0o700);
  } catch {
    // A mounted folder that we may write but do not own; what is secret in it has a mode of its own.
  }
}

/**
 * Makes the data folder: mode 0700, with a `.gitignore` that keeps keys and data out of a repository.
 * @returns its real, absolute path
 * @throws EmbeddedError `DATA_FOLDER_UNUSABLE`
 */
export function prepareDataFolder(dataDir: string): string {
  const folder = resolve(dataDir);
  // Closing one of these to everybody else would break the machine, so a slip in a setting must not do it.
  const isEverybodys = ['/', '/tmp', '/var/tmp', '/var/lib', '/home', '/root', homedir(), process.cwd()].includes(
    folder,
  );
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (!isEverybodys) {
      closeToOthers(folder);
      const ignore = join(folder, '.gitignore');
      if (!existsSync(ignore)) writeFileSync(ignore, IGNORE);
    }
    return realpathSync(folder);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    if (reason === 'ENOSPC')
      throw new EmbeddedError(
        'DISK_FULL',
        `No space is left on the disk of the data folder ${folder}: free some, or set WAXWING_DATA_DIR to another folder.`,
        error,
      );
    throw new EmbeddedError(
      'DATA_FOLDER_UNUSABLE',
      `The data folder ${folder} cannot be used (${reason}): give this user the right to write there, or set ` +
        'WAXWING_DATA_DIR to another folder.',
      error,
    );
  }
}

/**
 * Makes this process the one program on the data folder, until `release()`.
 * @throws EmbeddedError `DATA_FOLDER_BUSY`, which names the process that has it
 */
export async function lockDataFolder(folder: string, onProgress?: (sentence: string) => void): Promise<FileLock> {
  const deadlineMs = performance.now() + ELSEWHERE_STALE_MS + 1_000;
  for (let isTold = false; ; isTold = true) {
    const { lock, holder } = await tryLock(folder, LOCK);
    if (lock !== undefined) return lock;
    // A container that was killed and started again finds its own file from before, which goes stale in seconds.
    if (holder.isElsewhere && performance.now() < deadlineMs) {
      if (!isTold)
        onProgress?.(
          `Another container used ${folder} until a moment ago; waiting up to 10 s to see whether it still does.`,
        );
      await delay(250);
      continue;
    }
    const who = holder.isElsewhere ? `process ${holder.pid} of another container or machine` : `process ${holder.pid}`;
    throw new EmbeddedError(
      'DATA_FOLDER_BUSY',
      `The data folder ${folder} is in use by ${who}: stop it, set WAXWING_DATA_DIR to another folder, or run ` +
        '`waxwing services` once and give its REDIS_URL and DATABASE_URL to every process.',
    );
  }
}

/** A secret kept in a file of mode 0600; `make` is called the first time. */
export function keptSecret(path: string, make: () => string): string {
  if (existsSync(path)) {
    const kept = readFileSync(path, 'utf8').trim();
    if (kept !== '') return kept;
  }
  const secret = make();
  writeFileSync(path, `${secret}\n`, { mode: 0o600 });
  return secret;
}

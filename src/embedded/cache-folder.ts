import { accessSync, constants, lstatSync, mkdirSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';

function made(folder: string): string | undefined {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
    return folder;
  } catch {
    return undefined;
  }
}

function home(): string | undefined {
  try {
    const folder = homedir();
    return isAbsolute(folder) && folder !== '/' ? folder : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The folder in which programs that we unpacked are kept: `$XDG_CACHE_HOME/waxwing` or `~/.cache/waxwing`, and a
 * folder of this user under the system's temporary folder when neither can be written (a user without a home).
 * @throws Error when that folder belongs to somebody else: what we run from it must not be writable to others
 */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const xdg = environment['XDG_CACHE_HOME'];
  const base = xdg !== undefined && isAbsolute(xdg) ? xdg : home() && join(home() ?? '', '.cache');
  const preferred = base === undefined ? undefined : made(join(base, 'waxwing'));
  if (preferred !== undefined) return preferred;
  const uid = process.getuid?.();
  const fallback = join(tmpdir(), `waxwing-cache-${uid ?? 'user'}`);
  const folder = made(fallback);
  if (folder !== undefined) {
    const stat = lstatSync(folder);
    if (stat.isDirectory() && (uid === undefined || (stat.uid === uid && (stat.mode & 0o022) === 0))) return folder;
  }
  throw new Error(`No folder can be written for unpacked programs: tried ${base ?? 'no home folder'} and ${fallback}.`);
}

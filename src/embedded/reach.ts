import { lstatSync, mkdirSync, realpathSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** The user a server runs as when we are root and it refuses to be. */
export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

/** `nobody` and `nogroup`: every Linux has the two numbers, and nothing else belongs to them. */
const NOBODY: ServerUser = { uid: 65534, gid: 65534 };

/** Who PostgreSQL has to run as: nobody when this process is root, itself (undefined) otherwise. */
export function serverUser(): ServerUser | undefined {
  return process.getuid?.() === 0 ? NOBODY : undefined;
}

/** Which of read (4), write (2) and search (1) this user has on one file or folder, by its mode bits. */
function rightsOn(path: string, user: ServerUser): number {
  const { uid, gid, mode } = statSync(path);
  if (uid === user.uid) return (mode >> 6) & 7;
  if (gid === user.gid) return (mode >> 3) & 7;
  return mode & 7;
}

/** Can this user reach `path` through all folders above it and read it (a folder: also enter it). */
export function canRead(path: string, user: ServerUser | undefined): boolean {
  if (user === undefined) return true;
  try {
    const real = realpathSync(path);
    const wanted = statSync(real).isDirectory() ? 5 : 4;
    if ((rightsOn(real, user) & wanted) !== wanted) return false;
    for (let folder = dirname(real); ; folder = dirname(folder)) {
      if ((rightsOn(folder, user) & 1) === 0) return false;
      if (folder === dirname(folder)) return true;
    }
  } catch {
    return false;
  }
}

/**
 * A folder of root's that this user can pass through and nobody else can write, for what must lie outside a closed
 * data folder: `/var/lib/waxwing`, or one under the temporary folder.
 * @throws Error when there is no such place
 */
export function reachableFolder(user: ServerUser): string {
  const places = ['/var/lib/waxwing', join(tmpdir(), 'waxwing-root'), '/tmp/waxwing-root', '/var/tmp/waxwing-root'];
  for (const place of places) {
    try {
      mkdirSync(place, { recursive: true, mode: 0o755 });
      const stat = lstatSync(place);
      // A folder in /tmp may have been put there by somebody else to have us run what they wrote.
      const isOurs = stat.isDirectory() && stat.uid === process.getuid?.() && (stat.mode & 0o022) === 0;
      if (isOurs && canRead(place, user)) return place;
    } catch {
      // Not here.
    }
  }
  throw new Error(`No folder can be made that user ${user.uid} can reach: tried ${places.join(', ')}.`);
}

import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { reachableFolder, type ServerUser } from './reach.ts';

/** A PostgreSQL data directory, and how its server gets at it. */
export interface Cluster {
  /** The directory as we see it. */
  readonly folder: string;
  /** The directory as its server is told. */
  readonly serverPath: string;
  readonly user: ServerUser | undefined;
}

export interface ClusterOptions {
  /** Our folder for PostgreSQL (mode 0700): the log, the remembered place and, if possible, the cluster itself. */
  readonly home: string;
  readonly user: ServerUser | undefined;
  /** May a new cluster be reached through the current folder of its server. Default: on Linux. */
  readonly throughWorkingFolder?: boolean | undefined;
  readonly onProgress?: ((sentence: string) => void) | undefined;
}

/** What a process stands in needs no rights on the folders above it. */
const WORKING_FOLDER = '/proc/self/cwd';

/** Who made this cluster: somebody who is not root has used the folder before, and PostgreSQL insists on its owner. */
function ownerOf(folder: string, user: ServerUser): ServerUser {
  const { uid, gid } = statSync(folder);
  return uid === 0 ? user : { uid, gid };
}

/** Can the server's user write in a folder of its own in `home` by way of its current folder. */
function canWorkIn(home: string, user: ServerUser): boolean {
  const probe = mkdtempSync(join(home, 'probe-'));
  try {
    chownSync(probe, user.uid, user.gid);
    const args = ['-c', `: > ${WORKING_FOLDER}/probe`];
    return spawnSync('/bin/sh', args, { cwd: probe, stdio: 'ignore', ...user }).status === 0;
  } catch {
    // A network or desktop volume whose files have one owner only.
    return false;
  } finally {
    rmSync(probe, { recursive: true, force: true });
  }
}

/**
 * Where the cluster lies. The server may not run as root, and the data folder is closed to every other user. So it is
 * started inside the cluster and told `/proc/self/cwd`. Data then stays in the data folder, where a backup or a mounted
 * volume has it. Where that does not work, a new cluster goes to a folder that its user can reach, and `place.json`
 * remembers it.
 */
export function clusterOf(options: ClusterOptions): Cluster {
  const { home, user } = options;
  const inside = join(home, 'data');
  if (user === undefined) return { folder: inside, serverPath: inside, user };
  const memory = join(home, 'place.json');
  if (existsSync(memory)) {
    const { folder } = JSON.parse(readFileSync(memory, 'utf8')) as { folder: string };
    return { folder, serverPath: folder, user };
  }
  if (existsSync(inside)) return { folder: inside, serverPath: WORKING_FOLDER, user: ownerOf(inside, user) };
  if ((options.throughWorkingFolder ?? process.platform === 'linux') && canWorkIn(home, user)) {
    return { folder: inside, serverPath: WORKING_FOLDER, user };
  }
  const folder = join(reachableFolder(user), `cluster-${randomBytes(8).toString('hex')}`);
  writeFileSync(`${memory}.new`, JSON.stringify({ folder }), { mode: 0o600 });
  renameSync(`${memory}.new`, memory);
  options.onProgress?.(`PostgreSQL may not run as root and its user cannot reach ${home}: its data goes to ${folder}.`);
  return { folder, serverPath: folder, user };
}

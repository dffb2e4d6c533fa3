import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';

/** As root, and as somebody who may become it without a password: a CI's user. */
const WAYS = [[], ['sudo', '-n']] as const;
const BALLAST = 'ballast';

/** A file system of a few MiB that can really be full. */
export class SmallDisk {
  readonly folder: string;
  readonly #way: readonly string[];

  private constructor(folder: string, way: readonly string[]) {
    this.folder = folder;
    this.#way = way;
  }

  /** Mounts one on an empty folder, which is made when missing; null where nothing may be mounted. */
  static mount(folder: string, sizeMiB: number): SmallDisk | null {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const options = `size=${sizeMiB}m,mode=0700,uid=${process.getuid?.() ?? 0},gid=${process.getgid?.() ?? 0}`;
    const way = WAYS.find((one) => run([...one, 'mount', '-t', 'tmpfs', '-o', options, 'waxwing-fault', folder]));
    return way === undefined ? null : new SmallDisk(folder, way);
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.folder);
    return bavail * bsize;
  }

  /** Something else takes the space: a file that grows until so much is left. Called again it takes what was freed. */
  fill(leftBytes: number): void {
    const bytes = Math.max(0, this.freeBytes - leftBytes);
    try {
      if (bytes > 0) appendFileSync(join(this.folder, BALLAST), Buffer.alloc(bytes));
    } catch (error) {
      // Somebody took it meanwhile: full is full.
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }

  free(): void {
    rmSync(join(this.folder, BALLAST), { force: true });
  }

  unmount(): void {
    // Lazily: a process that is just ending may still stand in it.
    run([...this.#way, 'umount', '-l', this.folder]);
  }
}

/** Can this machine make one; says why a test is skipped when it cannot. */
export function canMount(folder: string): boolean {
  const disk = SmallDisk.mount(folder, 1);
  disk?.unmount();
  rmSync(folder, { recursive: true, force: true });
  if (disk === null)
    console.warn(
      'A full disk is not tried: no file system may be mounted here. Run it as root, or where `sudo mount` asks for no password.',
    );
  return disk !== null;
}

function run([command = '', ...args]: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

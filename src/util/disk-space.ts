import { statfs } from 'node:fs/promises';

/** Of the disk (the file system) that a folder lies on, for whoever is not root. Bytes. */
export interface DiskSpace {
  readonly freeBytes: number;
  readonly sizeBytes: number;
}

/** Null where the system does not tell. */
export async function diskSpace(folder: string): Promise<DiskSpace | null> {
  try {
    const { bavail, blocks, bsize } = await statfs(folder);
    return { freeBytes: bavail * bsize, sizeBytes: blocks * bsize };
  } catch {
    return null;
  }
}

/** For a sentence: `812 KiB`, `14 MiB`, `2.5 GiB`. */
export function bytesInWords(bytes: number): string {
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes / 1024;
  let at = 0;
  for (; value >= 1024 && at < units.length - 1; at += 1) value /= 1024;
  return `${value >= 10 || Number.isInteger(value) ? Math.floor(value) : value.toFixed(1)} ${units[at] ?? ''}`;
}

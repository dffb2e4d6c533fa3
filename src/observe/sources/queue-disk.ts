import type { MetricDefinition, MetricSource } from '../../model/figures.ts';
import { bytesInWords, type DiskSpace, diskSpace } from '../../util/disk-space.ts';

/** A figure this old is asked for again, by the next accept and beside it: accepting never waits for it. */
const FRESH_MS = 500;
/** With less than a tenth free nothing is accepted: what is left is for sending what is there, and for its outcomes. */
const KEPT_SHARE = 0.1;
/** A tenth of a large disk is more than that needs. */
const KEPT_BYTES_MAX = 512 * 1024 * 1024;

const gauge = { type: 'gauge', scope: 'process' } as const;

export const DISK_METRICS: readonly MetricDefinition[] = [
  { ...gauge, name: 'waxwing_queue_disk_used_bytes', help: 'In use on the disk of the embedded queue Redis.' },
  { ...gauge, name: 'waxwing_queue_disk_size_bytes', help: 'Size of the disk of the embedded queue Redis.' },
];

/** What must be free on a disk of this size for messages to be accepted. */
export function keptBytes({ sizeBytes }: Pick<DiskSpace, 'sizeBytes'>): number {
  return Math.min(sizeBytes * KEPT_SHARE, KEPT_BYTES_MAX);
}

/** A sentence about a disk on which nothing more is accepted; undefined for one with room. */
export function fullDisk(space: DiskSpace): string | undefined {
  if (space.freeBytes >= keptBytes(space)) return undefined;
  const { freeBytes, sizeBytes } = space;
  return `The disk of the queue is full: ${bytesInWords(freeBytes)} of ${bytesInWords(sizeBytes)} are free, and nothing is accepted below ${bytesInWords(keptBytes(space))}. Free space; it goes on by itself.`;
}

/** Knows how full the disk of the queue's Redis is, while messages are being accepted. */
export class QueueDisk {
  readonly #folder: string;
  readonly #onChange: (full: string | undefined) => void;
  #isFull = false;
  #askedAtMs = Number.NEGATIVE_INFINITY;

  /** @param onChange told with a sentence when it is full, and with undefined when it has room again */
  constructor(folder: string, onChange: (full: string | undefined) => void = () => undefined) {
    this.#folder = folder;
    this.#onChange = onChange;
  }

  /** As of the last look, at most half a second or one accept ago. */
  readonly isFull = (): boolean => {
    const now = performance.now();
    if (now - this.#askedAtMs >= FRESH_MS) {
      this.#askedAtMs = now;
      void this.space();
    }
    return this.#isFull;
  };

  /** Null where the system does not tell. */
  async space(): Promise<DiskSpace | null> {
    const space = await diskSpace(this.#folder);
    const full = space === null ? undefined : fullDisk(space);
    const wasFull = this.#isFull;
    this.#isFull = full !== undefined;
    if (this.#isFull !== wasFull) this.#onChange(full);
    return space;
  }

  /** @throws Error with a sentence while nothing is accepted for want of room */
  readonly check = async (): Promise<void> => {
    const space = await this.space();
    const sentence = space === null ? undefined : fullDisk(space);
    if (sentence !== undefined) throw new Error(sentence);
  };
}

/** The figures of the disk that the queue is on. */
export function diskSource(disk: Pick<QueueDisk, 'space'>): MetricSource {
  return {
    name: 'queue-disk',
    metrics: DISK_METRICS,
    async read() {
      const space = await disk.space();
      if (space === null) return [];
      const { freeBytes, sizeBytes } = space;
      return [
        { name: 'waxwing_queue_disk_used_bytes', value: sizeBytes - freeBytes },
        { name: 'waxwing_queue_disk_size_bytes', value: sizeBytes },
      ];
    },
  };
}

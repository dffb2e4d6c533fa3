import { bytesInWords, diskSpace } from '../util/disk-space.ts';
import { EmbeddedError } from './embedded-error.ts';

/**
 * With less than this free a server would end at its first write, and be started, and end again. Little, so that a disk
 * that is merely small is no obstacle.
 */
const ROOM_BYTES_MIN = 256 * 1024;

/** What is wrong with the disk of a folder, in words; empty when a server can work there. */
export async function lackOfRoom(folder: string): Promise<string> {
  const space = await diskSpace(folder);
  if (space === null || space.freeBytes >= ROOM_BYTES_MIN) return '';
  return `the disk of ${folder} is full, ${bytesInWords(space.freeBytes)} of ${bytesInWords(space.sizeBytes)} are free`;
}

/** @throws EmbeddedError `DISK_FULL` when nothing could be written there */
export async function assertRoom(folder: string, server: 'Redis' | 'PostgreSQL'): Promise<void> {
  const lack = await lackOfRoom(folder);
  if (lack === '') return;
  const advice = `free at least ${bytesInWords(ROOM_BYTES_MIN)} there`;
  throw new EmbeddedError('DISK_FULL', `${server} is not started, because ${lack}: ${advice}.`);
}

import { randomBytes } from 'node:crypto';

/*
 * WAXWING_FAULT_SEED replays a run, WAXWING_FAULT_SCALE sizes it: 1 is the catalogue's counts, 0.1 (default) what CI
 * has time for.
 */

function readSeed(): number {
  const given = process.env['WAXWING_FAULT_SEED'];
  if (given === undefined || given === '') return randomBytes(4).readUInt32LE();
  const seed = Number(given);
  if (!Number.isSafeInteger(seed) || seed < 0) throw new Error(`WAXWING_FAULT_SEED=${given} is not a whole number.`);
  return seed;
}

function readScale(): number {
  const given = process.env['WAXWING_FAULT_SCALE'];
  if (given === undefined || given === '') return 0.1;
  const scale = Number(given);
  if (!(scale > 0) || scale > 10) throw new Error(`WAXWING_FAULT_SCALE=${given} is not a number above 0, up to 10.`);
  return scale;
}

function readResult(): string | undefined {
  const given = process.env['WAXWING_FAULT_RESULT'];
  if (given === undefined || given === '') return undefined;
  if (!/^[a-z][a-z-]*$/.test(given)) throw new Error(`WAXWING_FAULT_RESULT=${given} is not a word of small letters.`);
  return given;
}

/** WAXWING_FAULT_RESULT: where a chosen part of the suite writes its table, `bench/results/<it>.{json,md}`. */
export const faultResult = readResult();
export const faultSeed = readSeed();
export const faultScale = readScale();

/** The catalogue's count times the scale, rounded up, and never fewer than `least`. */
export function scaled(count: number, least = 1): number {
  return Math.max(least, Math.ceil(count * faultScale));
}

/** The command that repeats one test with the same choices. */
export function replayLine(id: string): string {
  return `WAXWING_FAULT_SEED=${faultSeed} WAXWING_FAULT_SCALE=${faultScale} npm run test:faults -- -t "${id} "`;
}

import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { inject } from 'vitest';

const run = promisify(execFile);

async function compiledShim(): Promise<string> {
  const library = join(inject('waxwingRunFolder'), 'fault-shim.so');
  if (existsSync(library)) return library;
  const source = fileURLToPath(new URL('shim.c', import.meta.url));
  try {
    await run('gcc', ['-O2', '-Wall', '-shared', '-fPIC', '-o', `${library}.part`, source, '-ldl']);
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new Error(
      isMissing
        ? 'This fault test changes what a server sees of clock and disk with a small library and needs a C compiler: install the package gcc (with libc6-dev).'
        : `The library of the fault tests cannot be compiled: ${(error as Error).message}`,
      { cause: error },
    );
  }
  renameSync(`${library}.part`, library);
  return library;
}

/** The faults that a preloaded library makes in one server: a wrong wall clock, a slow disk, a power cut's memory. */
export interface Shim {
  /** For the server's environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** The wall clock is wrong by this much from now on. */
  setClockOffset(ms: number): void;
  /** Every fsync takes this much longer from now on. */
  setFsyncDelay(ms: number): void;
  /** Bytes of a file (by its name, without folders) that had been fsynced when an fsync last returned. */
  syncedBytes(name: string): number;
}

/** @throws with what to install when there is no C compiler */
export async function makeShim(): Promise<Shim> {
  const library = await compiledShim();
  const folder = mkdtempSync(join(inject('waxwingRunFolder'), 'shim-'));
  const control = join(folder, 'control');
  writeFileSync(control, Buffer.alloc(16));
  const file = openSync(control, 'r+');
  const set = (at: number, ms: number): void => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(ms));
    writeSync(file, bytes, 0, 8, at);
  };
  return {
    environment: { LD_PRELOAD: library, WAXWING_SHIM_FOLDER: folder },
    setClockOffset: (ms) => set(0, ms),
    setFsyncDelay: (ms) => set(8, ms),
    syncedBytes(name) {
      const record = join(folder, `synced-${name}`);
      return existsSync(record) ? Number(readFileSync(record, 'utf8')) : 0;
    },
  };
}

import { fdatasync, write } from 'node:fs';
import { promisify } from 'node:util';

const sync = promisify(fdatasync);
const writeText = promisify(write) as (fd: number, text: string) => Promise<unknown>;

/** Appends lines and resolves when they are on disk; what arrives during one fsync shares the next. */
export class DiskQueue {
  readonly #file: number;
  #waiting: { readonly line: string; readonly resolve: () => void; readonly reject: (error: unknown) => void }[] = [];
  #writing = false;

  constructor(file: number) {
    this.#file = file;
  }

  append(value: unknown): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ line: `${JSON.stringify(value)}\n`, resolve, reject });
      if (!this.#writing) void this.#write();
    });
  }

  async #write(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await writeText(this.#file, batch.map(({ line }) => line).join(''));
        await sync(this.#file);
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#writing = false;
  }
}

import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { inject } from 'vitest';
import { freePort } from '../../../src/embedded/free-port.ts';
import { endProcess, identify, waitForEnd } from '../../../src/embedded/process-identity.ts';
import { findRedis, type RedisBinary } from '../../../src/embedded/redis-binary.ts';
import { startRedis, type RedisServer } from '../../../src/embedded/redis-server.ts';
import { eventually } from '../../support/eventually.ts';
import type { ServerEvent } from '../../../src/embedded/supervised-child.ts';
import type { Shim } from './shim.ts';
import { SmallDisk } from './small-disk.ts';

export interface FaultRedisOptions {
  /** Preloaded into the server. */
  readonly shim?: Shim;
  /** Redis' own settings over ours. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Its folder is a file system of this size. */
  readonly diskMiB?: number;
  /** Is it started again by its owner when it dies, as the embedded one is. Default false. */
  readonly isSupervised?: boolean;
}

/** A durable Redis of a fault test, which can die in every way that a machine offers. */
export class FaultRedis {
  readonly #folder: string;
  readonly #options: FaultRedisOptions;
  readonly #binary: RedisBinary;
  readonly #disk: SmallDisk | undefined;
  /** What its owner was told of its deaths and starts. */
  readonly events: ServerEvent[] = [];
  #server: RedisServer | undefined;
  #port = 0;

  private constructor(folder: string, binary: RedisBinary, options: FaultRedisOptions) {
    this.#folder = folder;
    this.#binary = binary;
    this.#options = options;
    if (options.diskMiB === undefined) return;
    const disk = SmallDisk.mount(folder, options.diskMiB);
    if (disk === null) throw new Error('No file system may be mounted here.');
    this.#disk = disk;
  }

  static async start(options: FaultRedisOptions = {}): Promise<FaultRedis> {
    const folder = mkdtempSync(join(inject('waxwingRunFolder'), 'fault-redis-'));
    const redis = new FaultRedis(folder, preloaded(folder, await findRedis(), options.shim), options);
    await redis.start();
    return redis;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  get pid(): number {
    return this.#running().pid;
  }

  get disk(): SmallDisk {
    if (this.#disk === undefined) throw new Error('This Redis has no disk of its own.');
    return this.#disk;
  }

  /** Starts it on its data and resolves when it answers. */
  async start(): Promise<void> {
    // A child that was rewriting the log when its server was killed may hold the port for a moment.
    if (this.#port !== 0)
      await eventually(async () => (await freePort(this.#port)) === this.#port, { what: 'the port to be free again' });
    const server = await startRedis({
      folder: this.#folder,
      binary: this.#binary,
      isSupervised: this.#options.isSupervised ?? false,
      onEvent: (event) => this.#note(event),
      port: this.#port === 0 ? await steadyPort() : this.#port,
      ...(this.#options.settings === undefined ? {} : { settings: this.#options.settings }),
    });
    if (this.#port !== 0 && server.port !== this.#port) {
      await server.stop();
      throw new Error(`Port ${this.#port} was taken meanwhile.`);
    }
    this.#server = server;
    this.#port = server.port;
    writeFileSync(this.#record(server.pid), JSON.stringify(identify(server.pid)));
  }

  /** SIGKILL: what it had written and not fsynced stays in the system's cache, so nothing written is lost. */
  async kill(): Promise<void> {
    const { pid } = this.#running();
    const identity = identify(pid);
    if (identity !== undefined) {
      process.kill(pid, 'SIGKILL');
      if (!(await waitForEnd(identity, 10_000))) throw new Error(`Redis ${pid} does not end.`);
    }
    rmSync(this.#record(pid), { force: true });
  }

  /** SIGKILL, and every file of the append-only log is cut back to what had been fsynced. Needs the shim. */
  async cutPower(): Promise<{ readonly cutBytes: number }> {
    const { shim } = this.#options;
    if (shim === undefined) throw new Error('A power cut needs the shim that remembers what was fsynced.');
    await this.kill();
    let cutBytes = 0;
    const folder = join(this.#folder, 'appendonlydir');
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      const bytes = statSync(path).size;
      const kept = Math.min(bytes, shim.syncedBytes(name));
      cutBytes += bytes - kept;
      truncateSync(path, kept);
    }
    return { cutBytes };
  }

  /** Changes the newest file of the log while Redis is down: what a bad disk does to it. */
  damage(change: (log: Buffer) => Buffer): void {
    const folder = join(this.#folder, 'appendonlydir');
    const newest = readdirSync(folder)
      .filter((name) => name.endsWith('.incr.aof'))
      .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
      .at(-1);
    if (newest === undefined) throw new Error(`There is no log in ${folder}.`);
    const path = join(folder, newest);
    writeFileSync(path, change(readFileSync(path)));
  }

  pause(): void {
    process.kill(this.#running().pid, 'SIGSTOP');
  }

  resume(): void {
    process.kill(this.#running().pid, 'SIGCONT');
  }

  #note(event: ServerEvent): void {
    this.events.push(event);
    if (event.kind === 'restarted') writeFileSync(this.#record(event.pid), JSON.stringify(identify(event.pid)));
  }

  /** Ends it whatever its state, and removes its data. */
  async close(): Promise<void> {
    if (this.#options.isSupervised === true) await this.#server?.stop();
    const identity = this.#server === undefined ? undefined : identify(this.#server.pid);
    if (identity !== undefined) {
      process.kill(identity.pid, 'SIGCONT');
      await endProcess(identity, 'SIGKILL', 5_000);
      rmSync(this.#record(identity.pid), { force: true });
    }
    this.#disk?.unmount();
    if (existsSync(this.#folder)) rmSync(this.#folder, { recursive: true, force: true });
  }

  #running(): RedisServer {
    if (this.#server === undefined) throw new Error('Redis was never started.');
    return this.#server;
  }

  #record(pid: number): string {
    return join(inject('waxwingRunFolder'), `server-${pid}.json`);
  }
}

const PORT_MIN = 12_000;
const PORT_MAX = 32_000;

/**
 * A free port that the system never gives to an outgoing connection. While Redis is down its clients knock at its port,
 * and one that gets that very number as its own would hold it (a TCP connection to itself) when Redis comes back.
 */
async function steadyPort(): Promise<number> {
  for (;;) {
    const wanted = PORT_MIN + Math.floor(Math.random() * (PORT_MAX - PORT_MIN));
    if ((await freePort(wanted)) === wanted) return wanted;
  }
}

/** A start script that becomes the server (same process id) with the library loaded. */
function preloaded(folder: string, binary: RedisBinary, shim: Shim | undefined): RedisBinary {
  if (shim === undefined) return binary;
  const path = `${folder}-redis-server.sh`;
  const assignments = Object.entries(shim.environment).map(([name, value]) => `${name}='${value}'`);
  writeFileSync(path, `#!/bin/sh\nexport ${assignments.join(' ')}\nexec '${binary.path}' "$@"\n`);
  chmodSync(path, 0o700);
  return { ...binary, path };
}

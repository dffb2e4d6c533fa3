import { fork, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inject } from 'vitest';
import { identify, waitForEnd, type ProcessIdentity } from '../../../src/embedded/process-identity.ts';
import { eventually } from '../../support/eventually.ts';
import { steadyNowMs } from './clock.ts';

/*
 * A process of a fault test. Its identity is written into the run's folder, so that the run's teardown ends it when
 * everything here failed to; it ends itself when its supervisor is gone (the IPC channel closes).
 */

const PROGRAMS = {
  provider: new URL('../processes/provider.ts', import.meta.url),
  worker: new URL('../processes/worker.ts', import.meta.url),
  acceptor: new URL('../processes/acceptor.ts', import.meta.url),
} as const;
export type ProgramName = keyof typeof PROGRAMS;

/**
 * The programs as single files, built once per run: they start in a quarter of a second instead of one and a half,
 * and a test that kills twenty workers starts twenty more.
 */
async function builtPrograms(): Promise<string> {
  const folder = join(inject('waxwingRunFolder'), 'programs');
  if (existsSync(join(folder, 'built'))) return folder;
  const { build } = await import('vite');
  await build({
    root: new URL('../../..', import.meta.url).pathname,
    configFile: false,
    logLevel: 'error',
    ssr: { noExternal: true },
    build: {
      ssr: true,
      target: 'node20',
      outDir: folder,
      minify: false,
      rolldownOptions: {
        input: Object.fromEntries(Object.entries(PROGRAMS).map(([name, url]) => [name, url.pathname])),
        output: { entryFileNames: '[name].mjs' },
      },
    },
  });
  writeFileSync(join(folder, 'built'), '');
  return folder;
}

export interface ChildOptions {
  readonly program: ProgramName;
  readonly argument: unknown;
  readonly environment?: Readonly<Record<string, string>>;
  readonly nodeOptions?: readonly string[];
}

const READY_MS_MAX = 30_000;
const END_MS_MAX = 10_000;

export class Child<Incoming extends { readonly type: string }, Outgoing> {
  readonly #process: ChildProcess;
  readonly #identity: ProcessIdentity;
  readonly #record: string;
  readonly #listeners = new Set<(message: Incoming) => void>();
  /** Kept to explain a failure: what it wrote to stderr last. */
  #errors = '';
  /** Steady time at which it was seen to end. */
  endedAtMs: number | undefined;

  private constructor(child: ChildProcess, identity: ProcessIdentity) {
    this.#process = child;
    this.#identity = identity;
    this.#record = join(inject('waxwingRunFolder'), `server-${identity.pid}.json`);
    writeFileSync(this.#record, JSON.stringify(identity));
    child.on('message', (message) => {
      for (const listener of this.#listeners) listener(message as Incoming);
    });
    child.stderr?.on('data', (chunk: Buffer) => (this.#errors = (this.#errors + chunk.toString('utf8')).slice(-4000)));
    child.on('error', (error) => (this.#errors += error.message));
    child.once('exit', () => {
      this.endedAtMs = steadyNowMs();
      rmSync(this.#record, { force: true });
    });
  }

  static async start<In extends { readonly type: string }, Out>(options: ChildOptions): Promise<Child<In, Out>> {
    const folder = await builtPrograms();
    mkdirSync(folder, { recursive: true });
    const child = fork(join(folder, `${options.program}.mjs`), [JSON.stringify(options.argument)], {
      execArgv: [...(options.nodeOptions ?? []), '--enable-source-maps'],
      env: { ...process.env, NODE_OPTIONS: '', ...options.environment },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    const identity = child.pid === undefined ? undefined : identify(child.pid);
    if (identity === undefined) throw new Error(`The ${options.program} process could not be started.`);
    return new Child<In, Out>(child, identity);
  }

  get pid(): number {
    return this.#identity.pid;
  }

  get hasEnded(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  get errors(): string {
    return this.#errors;
  }

  on(listener: (message: Incoming) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  send(message: Outgoing): void {
    if (this.#process.connected) this.#process.send(message as object, () => undefined);
  }

  /** The first message of this type. @throws when it does not come, with what the process wrote to stderr */
  async next<Type extends Incoming['type']>(type: Type): Promise<Extract<Incoming, { readonly type: Type }>> {
    return await new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        finish();
        reject(new Error(`Process ${this.pid} ${why} before it said "${type}". ${this.#errors}`));
      };
      const onExit = (): void => fail('ended');
      const timer = setTimeout(() => fail(`was silent for ${READY_MS_MAX} ms`), READY_MS_MAX);
      const off = this.on((message) => {
        if (message.type !== type) return;
        finish();
        resolve(message as Extract<Incoming, { readonly type: Type }>);
      });
      const finish = (): void => {
        clearTimeout(timer);
        off();
        this.#process.off('exit', onExit);
      };
      this.#process.once('exit', onExit);
    });
  }

  /** Sends a signal to this very process; one that has ended is left alone. */
  signal(signal: NodeJS.Signals): void {
    if (!this.hasEnded) this.#process.kill(signal);
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.ended();
  }

  async ended(timeoutMs = END_MS_MAX): Promise<void> {
    if (!(await waitForEnd(this.#identity, timeoutMs))) throw new Error(`Process ${this.pid} does not end.`);
  }

  /** Resolves when the process stands still (SIGSTOP). */
  async stopped(timeoutMs = END_MS_MAX): Promise<void> {
    await eventually(() => stateOf(this.pid) === 'T', { timeoutMs, what: `process ${this.pid} to stand still` });
  }

  async close(): Promise<void> {
    if (this.hasEnded) return;
    this.signal('SIGKILL');
    await this.ended();
  }
}

/** One letter, as /proc shows it. */
function stateOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
}

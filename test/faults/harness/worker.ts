import { Child } from './child.ts';
import type { Outage } from './checker.ts';
import { steadyNowMs } from './clock.ts';
import type { FromWorker, ToWorker, WorkerProgram } from './protocol.ts';

/** A worker process, and what a test did to it: the checker must know when it could not tell what it knew. */
export class FaultWorker {
  readonly name: string;
  readonly process: Child<FromWorker, ToWorker>;
  readonly outages: Outage[];
  #stillSinceMs: number | undefined;

  private constructor(name: string, process: Child<FromWorker, ToWorker>, outages: Outage[]) {
    this.name = name;
    this.process = process;
    this.outages = outages;
  }

  /** @param outages what is done to the worker is added here */
  static async start(
    program: WorkerProgram,
    outages: Outage[],
    how: { readonly environment?: Readonly<Record<string, string>>; readonly nodeOptions?: readonly string[] } = {},
  ): Promise<FaultWorker> {
    const child = await Child.start<FromWorker, ToWorker>({ program: 'worker', argument: program, ...how });
    const worker = new FaultWorker(program.worker, child, outages);
    await child.next('ready');
    return worker;
  }

  /** SIGKILL, and waits for its end. */
  async kill(): Promise<void> {
    this.outages.push({ worker: this.name, fromMs: steadyNowMs(), toMs: null });
    await this.process.kill();
  }

  async pause(): Promise<void> {
    this.#stillSinceMs = steadyNowMs();
    this.process.signal('SIGSTOP');
    await this.process.stopped();
  }

  /** Waits until it has stopped itself (`stop-before-write`). */
  async hasPausedItself(): Promise<void> {
    await this.process.stopped();
    // It stopped at some time before we saw it.
    this.#stillSinceMs = steadyNowMs() - 1000;
  }

  resume(): void {
    this.outages.push({ worker: this.name, fromMs: this.#stillSinceMs ?? 0, toMs: steadyNowMs() });
    this.process.signal('SIGCONT');
  }

  /** SIGTERM: it finishes what is in flight. Resolves with the time that took, ms. */
  async stop(timeoutMs = 30_000): Promise<number> {
    const startMs = performance.now();
    this.process.signal('SIGTERM');
    await this.process.ended(timeoutMs);
    return performance.now() - startMs;
  }

  /** Its link, or the worker itself, could not tell anything for a time. */
  wasSilent(fromMs: number, toMs: number): void {
    this.outages.push({ worker: this.name, fromMs, toMs });
  }

  async close(): Promise<void> {
    await this.process.close();
  }
}

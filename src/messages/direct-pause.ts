import type { SendQueue } from '../engine/contract.ts';
import { AppError } from '../errors/app-error.ts';

export interface DirectPauseOptions {
  readonly queue: Pick<SendQueue, 'isReachable' | 'pauseSender' | 'pauseReason'>;
  /** Runs a call to the engine, and tells it of the sender first when it has to. */
  readonly knowing: <T>(call: () => Promise<T>) => Promise<T>;
  /** The sender may go again in this process. */
  readonly onResumed: (sender: string) => void;
  /** How soon the engine is told again of a pause that it did not hear, ms. Default 1,000. */
  readonly tellAgainMs?: number;
}

interface Held {
  readonly reason: string;
  isTold: boolean;
  timer?: NodeJS.Timeout;
}

/**
 * Pauses that stop direct sends. The engine's word counts for all processes while it can be asked. A pause that this
 * process learned from the provider holds here at once, and is told to the engine as soon as that can be; from then
 * on, who resumes the sender there resumes it here.
 */
export class DirectPause {
  readonly #options: DirectPauseOptions;
  readonly #held = new Map<string, Held>();

  constructor(options: DirectPauseOptions) {
    this.#options = options;
  }

  /** Why nothing of the sender may go, or null. */
  async reason(sender: string): Promise<string | null> {
    const held = this.#held.get(sender);
    if (!this.#options.queue.isReachable() || held?.isTold === false) return held?.reason ?? null;
    const paused = await this.#asked(sender);
    if (paused === undefined) return held?.reason ?? null;
    if (paused === null && this.#held.get(sender) === held) this.resumed(sender);
    return paused;
  }

  /** The provider asked this process to stop. */
  hold(sender: string, reason: string): void {
    clearTimeout(this.#held.get(sender)?.timer);
    const held: Held = { reason, isTold: false };
    this.#held.set(sender, held);
    void this.#tell(sender, held);
  }

  /** What was held may go again: a person changed or resumed the sender, as far as this process can know. */
  resumed(sender: string): void {
    const held = this.#held.get(sender);
    if (held === undefined) return;
    clearTimeout(held.timer);
    this.#held.delete(sender);
    this.#options.onResumed(sender);
  }

  /** Tells the engine nothing more. */
  stop(): void {
    for (const { timer } of this.#held.values()) clearTimeout(timer);
    this.#held.clear();
  }

  async #asked(sender: string): Promise<string | null | undefined> {
    try {
      return await this.#options.queue.pauseReason(sender);
    } catch {
      // It went away, or does not know the sender: then it has nothing to say.
      return undefined;
    }
  }

  async #tell(sender: string, held: Held): Promise<void> {
    const { queue, knowing, tellAgainMs = 1000 } = this.#options;
    try {
      if (!queue.isReachable()) throw new AppError('QUEUE_UNAVAILABLE');
      await knowing(() => queue.pauseSender(sender, held.reason));
      held.isTold = true;
    } catch {
      if (this.#held.get(sender) !== held) return;
      held.timer = setTimeout(() => void this.#tell(sender, held), tellAgainMs);
      held.timer.unref();
    }
  }
}

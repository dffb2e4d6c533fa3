import { holdFamily } from '../model/sender-hold.ts';

const FIRST_MS = 2_000;
const LONGEST_MS = 5 * 60_000;

export interface ConnectionWatchOptions {
  /** Why the engine holds a sender; null = it goes. */
  readonly pauseReason: (sender: string) => Promise<string | null>;
  /** State of the sender's connection; null = not known. */
  readonly connectionState: (sender: string) => Promise<string | null>;
  /** Lets it go on, unless it is held for another reason by now. */
  readonly resume: (sender: string, heldFor: string) => Promise<void>;
  /** First wait between two questions about one sender, ms; doubles up to five minutes. Default 2,000. */
  readonly firstMs?: number;
}

interface Watched {
  waitMs: number;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Asks for the state of connections that were down and lets their senders go on when they are open. Only holds for the
 * connection are lifted, whether an answer or a webhook told of it: a person's pause and other errors stay.
 *
 * A server may call a dead socket open. The sender is then held again by its next message, and the wait goes on
 * growing from where it was, so that such an instance is tried ever more rarely; no attempt is counted for it.
 */
export class ConnectionWatch {
  readonly #options: Required<ConnectionWatchOptions>;
  readonly #watched = new Map<string, Watched>();
  #stopped = false;

  constructor(options: ConnectionWatchOptions) {
    this.#options = { firstMs: FIRST_MS, ...options };
  }

  /** Does an error with this provider code concern the connection. */
  static concerns(providerCode: string | null | undefined): boolean {
    return holdFamily(`(${providerCode ?? ''})`) === 'connection';
  }

  /** Watches a sender that is, or may be, held. Safe to repeat. */
  add(sender: string): void {
    if (this.#stopped) return;
    const known = this.#watched.get(sender);
    if (known === undefined) {
      const watched: Watched = { waitMs: this.#options.firstMs, timer: undefined };
      this.#watched.set(sender, watched);
      this.#arm(sender, watched);
    } else if (known.timer === undefined) {
      known.waitMs = Math.min(known.waitMs * 2, LONGEST_MS);
      this.#arm(sender, known);
    }
  }

  stop(): void {
    this.#stopped = true;
    for (const { timer } of this.#watched.values()) clearTimeout(timer);
    this.#watched.clear();
  }

  #arm(sender: string, watched: Watched): void {
    watched.timer = setTimeout(() => void this.#look(sender, watched), watched.waitMs);
    watched.timer.unref();
  }

  async #look(sender: string, watched: Watched): Promise<void> {
    const outcome = await this.#ask(sender).catch(() => 'again' as const);
    if (this.#stopped) return;
    watched.timer = undefined;
    if (outcome === 'again') {
      watched.waitMs = Math.min(watched.waitMs * 2, LONGEST_MS);
      this.#arm(sender, watched);
      return;
    }
    if (outcome === 'not-ours') {
      this.#watched.delete(sender);
      return;
    }
    // Forgotten only after a quiet while: held again before that, it waits longer than this time.
    watched.timer = setTimeout(() => {
      watched.timer = undefined;
      void this.#forget(sender, watched);
    }, 2 * watched.waitMs);
    watched.timer.unref();
  }

  async #ask(sender: string): Promise<'again' | 'not-ours' | 'resumed'> {
    const reason = await this.#options.pauseReason(sender);
    if (reason === null || holdFamily(reason) !== 'connection') return 'not-ours';
    if ((await this.#options.connectionState(sender)) !== 'open') return 'again';
    await this.#options.resume(sender, reason);
    return 'resumed';
  }

  /** Still going: forget it. Held again meanwhile: look on, with the longer wait. */
  async #forget(sender: string, watched: Watched): Promise<void> {
    const reason = await this.#options.pauseReason(sender).catch(() => null);
    if (this.#stopped) return;
    if (reason === null) this.#watched.delete(sender);
    else {
      watched.waitMs = Math.min(watched.waitMs * 2, LONGEST_MS);
      this.#arm(sender, watched);
    }
  }
}

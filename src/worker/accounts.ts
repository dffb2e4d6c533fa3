import type { SenderAccount } from '../providers/contract.ts';

/** Reads a sender's account from the record; null when there is no such sender. */
export type ReadAccount = (senderId: string) => Promise<SenderAccount | null>;

interface Kept {
  readonly account: SenderAccount | null;
  readonly atMs: number;
}

/** Changed credentials reach a worker within this time at the latest. */
const FRESH_MS = 5000;

/**
 * Sender accounts in memory, so that sending makes no query per message and goes on while Postgres is away:
 * a known account is used, however old, until it can be read again.
 */
export class Accounts {
  readonly #read: ReadAccount;
  readonly #kept = new Map<string, Kept>();
  readonly #reading = new Map<string, Promise<SenderAccount | null>>();

  constructor(read: ReadAccount) {
    this.#read = read;
  }

  /** It changed: the next `get` waits for the record, and the old one serves only while that is away. Null = all. */
  expire(senderId: string | null): void {
    for (const [id, kept] of this.#kept) {
      if (senderId !== null && id !== senderId) continue;
      this.#kept.set(id, { account: kept.account, atMs: -Infinity });
    }
    if (senderId === null) this.#reading.clear();
    else this.#reading.delete(senderId);
  }

  /** @throws when the account was never read and the record cannot be reached */
  async get(senderId: string): Promise<SenderAccount | null> {
    const kept = this.#kept.get(senderId);
    if (kept !== undefined && performance.now() - kept.atMs < FRESH_MS) return kept.account;
    const reading = this.#refresh(senderId);
    if (kept === undefined) return await reading;
    if (kept.atMs === -Infinity) return await reading.catch(() => this.#old(senderId, kept.account));
    reading.catch(() => undefined); // the old one serves meanwhile
    return kept.account;
  }

  /** While the record is away an attempt waits for it once and not each time. */
  #old(senderId: string, account: SenderAccount | null): SenderAccount | null {
    if (this.#kept.get(senderId)?.atMs === -Infinity) {
      this.#kept.set(senderId, { account, atMs: performance.now() - FRESH_MS });
    }
    return account;
  }

  #refresh(senderId: string): Promise<SenderAccount | null> {
    const under = this.#reading.get(senderId);
    if (under !== undefined) return under;
    // A reading that an `expire()` overtook may have seen the old row: it is not kept.
    const isCurrent = (): boolean => this.#reading.get(senderId) === reading;
    const reading: Promise<SenderAccount | null> = this.#read(senderId)
      .then((account) => {
        if (isCurrent()) this.#kept.set(senderId, { account, atMs: performance.now() });
        return account;
      })
      .finally(() => {
        if (isCurrent()) this.#reading.delete(senderId);
      });
    this.#reading.set(senderId, reading);
    return reading;
  }
}

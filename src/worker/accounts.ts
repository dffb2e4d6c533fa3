import type { SenderAccount } from '../providers/contract.ts';

/** Reads a sender's account from the record; null when there is no such sender. */
export type ReadAccount = (senderId: string) => Promise<SenderAccount | null>;

interface Kept {
  readonly account: SenderAccount | null;
  readonly atMs: number;
}

/** Changed credentials reach a worker within this time. */
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

  /** @throws when the account was never read and the record cannot be reached */
  async get(senderId: string): Promise<SenderAccount | null> {
    const kept = this.#kept.get(senderId);
    if (kept !== undefined && performance.now() - kept.atMs < FRESH_MS) return kept.account;
    const reading = this.#refresh(senderId);
    if (kept === undefined) return await reading;
    reading.catch(() => undefined); // the old one serves meanwhile
    return kept.account;
  }

  #refresh(senderId: string): Promise<SenderAccount | null> {
    const under = this.#reading.get(senderId);
    if (under !== undefined) return under;
    const reading = this.#read(senderId)
      .then((account) => {
        this.#kept.set(senderId, { account, atMs: performance.now() });
        return account;
      })
      .finally(() => this.#reading.delete(senderId));
    this.#reading.set(senderId, reading);
    return reading;
  }
}

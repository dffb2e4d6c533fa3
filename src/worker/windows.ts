import { LRUCache } from 'lru-cache';
import type { Grant } from '../engine/contract.ts';
import type { MessageBody } from '../model/message.ts';
import { hasServiceWindow } from '../model/service-window.ts';
import type { SenderAccount } from '../providers/contract.ts';

/** Reads until when free-form messages may go to a person, epoch ms; null = nobody knows. */
export type ReadWindow = (person: {
  readonly tenant: string;
  readonly sender: string;
  readonly conversation: string;
  readonly names: readonly string[];
}) => Promise<number | null>;

const PEOPLE_MAX = 100_000;
/** An unknown person may write at any moment, and a closed window open; an open one only ever grows longer. */
const UNKNOWN_MS = 10_000;
/** The record gets this long: afterwards the message goes, and the provider decides. */
const ANSWER_MS = 100;

/**
 * Whether a person's window is known to be over, at the moment of sending: a message that waited long may have lost its
 * window meanwhile. A window that is known to be open is not asked for again before it ends, so that a conversation
 * costs one look-up and not one per message.
 */
export class Windows {
  readonly #read: ReadWindow;
  readonly #now: () => number;
  readonly #ends = new LRUCache<string, number>({ max: PEOPLE_MAX });
  /** People of whom nothing is known. */
  readonly #unknown = new LRUCache<string, true>({ max: PEOPLE_MAX, ttl: UNKNOWN_MS });

  constructor(read: ReadWindow, now: () => number = Date.now) {
    this.#read = read;
    this.#now = now;
  }

  /** @returns false also where there is no such rule: templates always go, and an unofficial sender has no window */
  async forbids(account: Pick<SenderAccount, 'provider'>, grant: Grant, body: MessageBody): Promise<boolean> {
    return hasServiceWindow(account.provider) && body.type !== 'template' && (await this.isClosed(grant, body));
  }

  async isClosed(
    grant: Pick<Grant, 'lane' | 'contact'>,
    body: Pick<MessageBody, 'to' | 'recipient'>,
  ): Promise<boolean> {
    const { tenant, sender, conversation } = grant.lane;
    const key = `${sender}\n${grant.contact}`;
    if ((this.#ends.get(key) ?? 0) > this.#now() || this.#unknown.has(key)) return false;
    const names = [grant.contact, body.to, body.recipient].filter((name) => name !== undefined);
    const endsMs = await this.#ask({ tenant, sender, conversation, names });
    if (endsMs === undefined) return false;
    if (endsMs === null) this.#unknown.set(key, true);
    else if (endsMs > this.#now()) this.#ends.set(key, endsMs);
    return endsMs !== null && endsMs <= this.#now();
  }

  /** @returns undefined when the record did not answer in time */
  async #ask(person: Parameters<ReadWindow>[0]): Promise<number | null | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), ANSWER_MS);
    });
    try {
      return await Promise.race([this.#read(person), late]);
    } catch {
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }
}

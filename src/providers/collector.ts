import type { ProviderEvent, ReadWebhook } from './events.ts';

/** An item that a reader cannot use; the reason holds no personal data. */
export class UnreadableItem extends Error {}

/**
 * Gathers what a webhook body tells. Each item is read by itself: one that cannot be read, or that makes its reader
 * throw, is noted as broken and costs the others nothing.
 */
export class EventCollector {
  readonly #events: ProviderEvent[] = [];
  readonly #broken: { where: string; reason: string }[] = [];

  /** @param where path of the item in the body, such as `entry[0].changes[2]` */
  item(where: string, read: () => ProviderEvent | readonly ProviderEvent[]): void {
    try {
      const events = read();
      if (Array.isArray(events)) this.#events.push(...(events as ProviderEvent[]));
      else this.#events.push(events as ProviderEvent);
    } catch (error) {
      // Only our own sentences: another error's text may quote the content.
      this.broken(where, error instanceof UnreadableItem ? error.message : 'it could not be read');
    }
  }

  broken(where: string, reason: string): void {
    this.#broken.push({ where, reason });
  }

  result(): ReadWebhook {
    return { events: this.#events, broken: this.#broken };
  }
}

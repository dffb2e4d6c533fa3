import type { Lane } from '../model/message.ts';

/** Who wants to send past the queue looks at its lane in turn, so that the order of the calls is kept. */
export class LaneTurns {
  readonly #last = new Map<string, Promise<unknown>>();

  /**
   * Waits for its turn and looks.
   * @param look returns what to do then: it begins within the turn, and who comes next does not wait for its end
   */
  async run<T>({ sender, tenant, conversation }: Lane, look: () => Promise<() => Promise<T>>): Promise<T> {
    const lane = `${sender}|${tenant}|${conversation}`;
    const before = this.#last.get(lane) ?? Promise.resolve();
    const turn = before
      .catch(() => undefined)
      .then(async () => {
        const begin = await look();
        const going = begin();
        going.catch(() => undefined);
        // In an object: a promise by itself would be waited for.
        return { going };
      });
    this.#last.set(lane, turn);
    const { going } = await turn.finally(() => {
      if (this.#last.get(lane) === turn) this.#last.delete(lane);
    });
    return await going;
  }
}

/** Shares out the turns of the event loop while new connections wait to be taken. */
export interface Turns {
  /** A connection was taken: another one may be waiting behind it. */
  connected(): void;
  /** @returns undefined when the caller may go on at once, as it always may while nobody waits to be connected */
  next(): Promise<void> | undefined;
}

/**
 * Node takes one new connection per turn of the event loop. In a burst a turn does the work of a hundred requests, and
 * new connections would wait for seconds while old ones are served. So after a turn that took a connection the callers
 * go on a few per turn, in their order, until a turn comes that took none.
 */
export function createTurns(perTurn: number): Turns {
  const waiting: (() => void)[] = [];
  let isShort = false;
  let isTaken = false;
  let gone = 0;
  let isEndComing = false;

  function endOfTurn(): void {
    isEndComing = false;
    isShort = isTaken;
    isTaken = false;
    const some = waiting.splice(0, isShort ? perTurn : waiting.length);
    gone = some.length;
    // Short turns go on until one of them has taken no connection.
    if (isShort) watch();
    for (const go of some) go();
  }

  function watch(): void {
    if (isEndComing) return;
    isEndComing = true;
    setImmediate(endOfTurn);
  }

  return {
    connected() {
      if (!isShort) gone = 0;
      isTaken = true;
      isShort = true;
      watch();
    },
    next() {
      if (!isShort) return undefined;
      if (waiting.length > 0 || gone >= perTurn) return new Promise((resolve) => waiting.push(resolve));
      gone += 1;
      return undefined;
    },
  };
}

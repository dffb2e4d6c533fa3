/**
 * One abort listener per signal, however many requests wait on it: a worker gives the same signal to hundreds of
 * sends, and Node warns of a leak from the eleventh listener on.
 */
const waiting = new WeakMap<AbortSignal, Set<() => void>>();
const listeners = new WeakMap<AbortSignal, () => void>();

/** Calls `callback` when the signal aborts; the returned function takes that back. The signal must not be aborted yet. */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const callbacks = waiting.get(signal) ?? listen(signal);
  callbacks.add(callback);
  return () => {
    callbacks.delete(callback);
    if (callbacks.size === 0) forget(signal);
  };
}

function listen(signal: AbortSignal): Set<() => void> {
  const callbacks = new Set<() => void>();
  const listener = (): void => {
    for (const callback of [...callbacks]) callback();
  };
  waiting.set(signal, callbacks);
  listeners.set(signal, listener);
  signal.addEventListener('abort', listener, { once: true });
  return callbacks;
}

function forget(signal: AbortSignal): void {
  const listener = listeners.get(signal);
  if (listener !== undefined) signal.removeEventListener('abort', listener);
  waiting.delete(signal);
  listeners.delete(signal);
}

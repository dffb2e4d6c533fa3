import type { FromAcceptor, FromProvider, FromWorker } from '../harness/protocol.ts';

/* The child's end of the channel to its supervisor. */

export function programOptions(): unknown {
  return JSON.parse(process.argv[2] ?? '{}');
}

export function tell(message: FromAcceptor | FromProvider | FromWorker): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}

/** As `tell()`, and resolves when it has left this process. */
export async function told(message: FromWorker): Promise<void> {
  await new Promise<void>((resolve) => {
    if (process.connected) process.send?.(message, undefined, undefined, () => resolve());
    else resolve();
  });
}

export function onTold(listener: (message: unknown) => void): void {
  process.on('message', listener);
  // Nobody is left to end this process by its id.
  process.on('disconnect', () => process.exit(0));
}

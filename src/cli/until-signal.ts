/** A signal that comes sooner after the first is its echo: a terminal or a wrapper sent it to the whole group. */
const ECHO_MS = 500;

/** Resolves with the first SIGINT or SIGTERM. A second one ends the process at once: the person means it. */
export function untilSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let firstAtMs: number | undefined;
    const onSignal = (signal: NodeJS.Signals) => {
      if (firstAtMs !== undefined && performance.now() - firstAtMs >= ECHO_MS) process.exit(130);
      firstAtMs ??= performance.now();
      resolve(signal);
    };
    process.on('SIGINT', onSignal);
    process.on('SIGTERM', onSignal);
  });
}

import type { Evidence } from './checker.ts';

/**
 * Per worker that was killed: from its death until each conversation that it had an unfinished attempt of is at the
 * provider again, ms.
 */
export function restartDelaysMs({ ledger, outages, ops }: Evidence): number[] {
  const conversationOf = new Map(ops.map(({ op, conversation }) => [op, conversation]));
  const times = new Map<string, number[]>();
  for (const { op, atMs } of ledger) {
    const conversation = conversationOf.get(op) ?? op;
    times.set(conversation, [...(times.get(conversation) ?? []), atMs]);
  }
  const delays: number[] = [];
  for (const { worker, fromMs, toMs } of outages) {
    if (toMs !== null) continue;
    for (const entry of ledger) {
      if (entry.worker !== worker || entry.atMs > fromMs || (entry.endAtMs ?? fromMs) < fromMs) continue;
      const next = (times.get(conversationOf.get(entry.op) ?? entry.op) ?? []).find((atMs) => atMs > fromMs);
      if (next !== undefined) delays.push(next - fromMs);
    }
  }
  return delays;
}

import pino from 'pino';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Counters, SettleRequest } from '../../src/engine/contract.ts';
import { WorkerSummary } from '../../src/program/worker-summary.ts';

const counters = { queued: 3, inFlight: 1, scheduled: 2, deferred: 1 } as Counters;

function settled(kind: 'sent' | 'failed', durationMs: number): SettleRequest {
  return {
    settlement: { kind },
    report: { startedAtMs: 1000, endedAtMs: 1000 + durationMs },
  } as unknown as SettleRequest;
}

describe('WorkerSummary', () => {
  it('S9 · the worker logs a summary every 30 s: waiting, active, delayed, sent, failed, processing time', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    onTestFinished(() => void vi.useRealTimers());
    const lines: Record<string, unknown>[] = [];
    const log = pino({}, { write: (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>) });
    const summary = new WorkerSummary({ counters: () => Promise.resolve(counters) }, log);
    onTestFinished(() => summary.stop());
    for (const durationMs of [10, 20, 30, 40]) summary.count(settled('sent', durationMs));
    summary.count(settled('failed', 500));
    await vi.advanceTimersByTimeAsync(29_999);
    expect(lines).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(lines).toMatchObject([
      {
        ...{ waiting: 3, active: 1, delayed: 3, attempts: 5, sent: 4, failed: 1 },
        ...{ processingMsP50: 30, processingMsP95: 500 },
      },
    ]);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(lines).toHaveLength(2);
    expect(lines[1]).toMatchObject({ waiting: 3, attempts: 0, sent: 0, failed: 0, processingMsP50: null });
  });
});

import { Writable } from 'node:stream';
import pino from 'pino';
import { describe, expect, it } from 'vitest';
import type { Counters, SettleRequest } from '../../src/engine/contract.ts';
import { WorkerSummary } from '../../src/program/worker-summary.ts';
import { eventually } from '../support/services.ts';

const counters = { queued: 3, inFlight: 1, scheduled: 2, deferred: 1 } as Counters;

function settled(kind: 'sent' | 'failed', durationMs: number): SettleRequest {
  return {
    settlement: { kind },
    report: { startedAtMs: 1000, endedAtMs: 1000 + durationMs },
  } as unknown as SettleRequest;
}

describe('WorkerSummary', () => {
  it('S9 · the worker logs a summary: waiting, active, delayed, sent, failed, processing time', async () => {
    const lines: Record<string, unknown>[] = [];
    const sink = new Writable({
      write(chunk: Buffer, _encoding, done) {
        lines.push(JSON.parse(chunk.toString()) as Record<string, unknown>);
        done();
      },
    });
    const summary = new WorkerSummary({ counters: () => Promise.resolve(counters) }, pino(sink), 20);
    for (const durationMs of [10, 20, 30, 40]) summary.count(settled('sent', durationMs));
    summary.count(settled('failed', 500));
    const line = await eventually(() => lines[0]);
    summary.stop();
    expect(line).toMatchObject({
      waiting: 3,
      active: 1,
      delayed: 3,
      attempts: 5,
      sent: 4,
      failed: 1,
      processingMsP50: 30,
    });
  });
});

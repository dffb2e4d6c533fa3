import { expect, test } from 'vitest';
import { brokenPromises, check, type Evidence, type Verdict } from './checker.ts';
import { faultScale, faultSeed, replayLine } from './settings.ts';
import { lineOf, rowOf } from './table.ts';
import { World } from './world.ts';
import type { WorldOptions } from './world-options.ts';

export interface FaultOptions extends WorldOptions {
  /** Longest wait for the queue to drain after the faults, ms. Default 90,000. */
  readonly recoverMs?: number;
  /** This machine cannot do it; whoever says so has told why. */
  readonly isSkipped?: boolean;
}

/** What a test also expects, beside the promises of every test. */
export type Further = (verdict: Verdict, evidence: Evidence) => void;
export type Report = (name: string, value: string | number) => void;

/**
 * A fault and what must hold after it: nothing lost, no duplicate without ambiguity, nothing reordered, caps and pace
 * kept, nothing stuck, and Redis agreeing with its own counters. Prints one line and adds one row to the table.
 */
export function faultTest(
  id: string,
  title: string,
  options: FaultOptions,
  body: (world: World, report: Report) => Promise<Further | undefined>,
): void {
  test.skipIf(options.isSkipped === true)(`${id} · ${title}`, async ({ task }) => {
    const startMs = performance.now();
    const figures: Record<string, string | number> = {};
    const world = await World.open(id, faultSeed, options);
    try {
      const further = await body(world, (name, value) => {
        figures[name] = typeof value === 'number' ? Math.round(value * 100) / 100 : value;
      });
      figures['drain ms'] = Math.round(await world.recover(options.recoverMs));
      const evidence = await world.evidence();
      const verdict = check(evidence);
      const broken = brokenPromises(verdict, world.bounds);
      if (broken.length === 0) broken.push(...failureOf(() => further?.(verdict, evidence)));
      const base = { id, title, seed: faultSeed, scale: faultScale, ms: performance.now() - startMs, report: figures };
      const row = rowOf({ ...base, passed: broken.length === 0 }, verdict, world.bounds);
      task.meta.faultRows = [row];
      console.log(lineOf(row));
      expect(broken, `Replay: ${replayLine(id)}`).toEqual([]);
    } catch (error) {
      if (error instanceof Error && !error.message.includes('Replay:')) error.message += `\nReplay: ${replayLine(id)}`;
      throw error;
    } finally {
      await world.close();
    }
  });
}

function failureOf(check: () => void): string[] {
  try {
    check();
    return [];
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}

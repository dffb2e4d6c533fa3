import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, inject } from 'vitest';
import { startEmbedded, type EmbeddedServices } from '../../src/embedded/index.ts';
import { sql } from '../support/postgres.ts';
import { eventually } from '../support/eventually.ts';
import { faultTest } from './harness/fault-test.ts';
import { spread } from './harness/measure.ts';
import { scaled } from './harness/settings.ts';
import { throughTrouble } from './harness/trouble.ts';

/*
 * PostgreSQL dies, stands still, and loses its answers under the whole program: what is accepted is sent all the same,
 * what comes in is not lost, and the record has every message once in the end.
 */

/** A simple query of its own, as the record's transactions end. */
const COMMIT = 'commit';
const WORLD = { senders: ['default'], workers: 0, isRecorded: true } as const;

let server: EmbeddedServices;
beforeAll(async () => {
  const dataDir = mkdtempSync(join(inject('waxwingRunFolder'), 'fault-postgres-'));
  // Supervised: it comes back by itself, as a service would.
  server = await startEmbedded({ dataDir, redis: false, postgres: true });
});
afterAll(async () => {
  await server.stop();
});

faultTest(
  'F29',
  'PostgreSQL: backends killed, the whole server ended at once, and a link that is dark for long',
  WORLD,
  async (world, report) => {
    const gaps: number[] = [];
    const rounds = scaled(20, 2);
    const figures = await throughTrouble(world, server, report, async ({ direct, link }) => {
      for (let round = 0; round < rounds; round += 1) {
        await delay(500);
        // A backend killed hard takes all others along, and the server recovers from its log.
        const [backend] = await sql<{ pid: number }>(
          direct,
          `select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() limit 1`,
        );
        const startMs = performance.now();
        if (backend !== undefined) process.kill(backend.pid, 'SIGKILL');
        await eventually(() => sql(direct, 'select 1').catch(() => false), { timeoutMs: 30_000 });
        gaps.push(performance.now() - startMs);
        await delay(500);
        const { postgres } = server.pids;
        const againMs = performance.now();
        // Immediate shutdown: no checkpoint, no goodbye. Its supervisor starts it again.
        if (postgres !== undefined) process.kill(postgres, 'SIGQUIT');
        await eventually(() => server.pids.postgres !== postgres, {
          timeoutMs: 30_000,
          what: 'PostgreSQL to come back',
        });
        await eventually(() => sql(direct, 'select 1').catch(() => false), { timeoutMs: 30_000 });
        gaps.push(performance.now() - againMs);
        link.setMode({ kind: 'blackhole' });
        await delay(scaled(30_000, 6000));
        link.setMode({ kind: 'pass' });
      }
    });
    report('deaths', gaps.length);
    report('server back after ms p50/p99/max', spread(gaps));
    return (verdict) => {
      expect(figures.recorded).toBe(figures.accepted);
      expect(figures.came).toBe(figures.heard);
      expect(verdict.takenMax).toBe(1);
    };
  },
);

faultTest(
  'F30',
  'the answer of COMMIT is lost and the connection reset: every message stands in the record once',
  WORLD,
  async (world, report) => {
    const cuts = scaled(100, 8);
    let lost = 0;
    const figures = await throughTrouble(world, server, report, async ({ link }) => {
      for (let cut = 0; cut < cuts; cut += 1) {
        const isLost = await Promise.race([link.loseReplyOf(COMMIT).then(() => true), delay(10_000, false)]);
        if (isLost) lost += 1;
        link.forgetTraps();
        await delay(world.random.whole(20, 150));
      }
    });
    report('answers of COMMIT lost', lost);
    return (verdict) => {
      expect(lost).toBeGreaterThan(cuts / 2);
      expect(figures.recorded).toBe(figures.accepted);
      expect(figures.came).toBe(figures.heard);
      expect(verdict.takenMax).toBe(1);
    };
  },
);

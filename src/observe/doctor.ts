import { auditShard } from '../engine/audit.ts';
import type { RedisClient } from '../engine/connection.ts';
import { shardPrefix } from '../engine/keys.ts';
import { type AcceptDurability, checkQueueSafety } from '../engine/safety.ts';
import { AppError } from '../errors/app-error.ts';
import type { WaxwingRecord } from '../record/index.ts';
import { findSentButQueued } from './doctor-restored.ts';
import type { Finding } from './finding.ts';

export type { Finding };

export interface DoctorOptions {
  readonly client: RedisClient;
  readonly shards: number;
  readonly durability: AcceptDurability;
  readonly record: Pick<WaxwingRecord, 'totals'>;
}

/** Audits a live system: is the queue's Redis safe, do its counters hold, and does the record agree with it. */
export async function diagnose(options: DoctorOptions): Promise<Finding[]> {
  const findings: Finding[] = [];
  const { problems, warnings } = await checkQueueSafety(options.client, options.durability);
  for (const detail of problems) findings.push({ severity: 'finding', about: 'queue Redis', detail });
  for (const detail of warnings) findings.push({ severity: 'remark', about: 'queue Redis', detail });
  for (let shard = 0; shard < options.shards; shard += 1) {
    for (const { promise, detail } of await auditShard(options.client, shard)) {
      findings.push({ severity: 'finding', about: `shard ${shard}, ${promise}`, detail });
    }
  }
  return [...findings, ...(await compareWithRecord(options))];
}

/** Engine states whose number in the record must equal the engine's own counter once everything is recorded. */
const ENDS = ['sent', 'failed', 'cancelled', 'expired'] as const;

async function compareWithRecord({ client, shards, record }: DoctorOptions): Promise<Finding[]> {
  try {
    const findings: Finding[] = [];
    const totals = await record.totals.byStatus();
    for (let shard = 0; shard < shards; shard += 1) {
      const waiting = await client.xlen(`${shardPrefix(shard)}ev`);
      const counters = await client.hgetall(`${shardPrefix(shard)}n`);
      const recorded = totals.filter((total) => total.shard === shard);
      const all = recorded.reduce((sum, { count }) => sum + count, 0);
      findings.push({
        severity: 'remark',
        about: `shard ${shard}`,
        detail: `${counters['accepted'] ?? 0} accepted, ${all} recorded, ${waiting} event entries kept`,
      });
      if (waiting > 0) continue; // not everything is recorded yet, so the numbers may differ
      if (all !== Number(counters['accepted'] ?? 0)) {
        findings.push({
          severity: 'finding',
          about: `shard ${shard}, record`,
          detail: `${counters['accepted'] ?? 0} accepted, but ${all} in the record`,
        });
      }
      for (const end of ENDS) {
        const inRecord = recorded
          .filter((total) => total.engineStatus === end)
          .reduce((sum, { count }) => sum + count, 0);
        if (inRecord === Number(counters[end] ?? 0)) continue;
        findings.push({
          severity: 'finding',
          about: `shard ${shard}, record`,
          detail: `${counters[end] ?? 0} ${end}, but ${inRecord} in the record`,
        });
      }
    }
    findings.push(...(await findSentButQueued(client, shards, record)));
    for (const { shard, count } of await record.totals.quarantined()) {
      findings.push({
        severity: 'finding',
        about: `shard ${shard}, record`,
        detail: `${count} events could not be recorded (table recorder_quarantine)`,
      });
    }
    return findings;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return [{ severity: 'finding', about: 'record', detail: error.message }];
  }
}

import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, it } from 'vitest';
import { diagnoseServices } from '../../src/observe/doctor-services.ts';
import { healthReport } from '../../src/observe/health.ts';
import { diskSource, fullDisk, keptBytes, QueueDisk } from '../../src/observe/sources/queue-disk.ts';
import { bytesInWords } from '../../src/util/disk-space.ts';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

describe('the disk of the embedded queue', () => {
  it('F20 · is full with a tenth free, and on a large disk with 512 MiB free', () => {
    expect(keptBytes({ sizeBytes: 8 * MIB })).toBeCloseTo(0.8 * MIB);
    expect(keptBytes({ sizeBytes: 4000 * GIB })).toBe(512 * MIB);
    expect(fullDisk({ sizeBytes: 8 * MIB, freeBytes: MIB })).toBeUndefined();
    expect(fullDisk({ sizeBytes: 8 * MIB, freeBytes: 100 * 1024 })).toBe(
      'The disk of the queue is full: 100 KiB of 8 MiB are free, and nothing is accepted below 819 KiB. Free space; it goes on by itself.',
    );
  });

  it('F20 · tells its figures, and is looked at beside the accepts that ask', async () => {
    const disk = new QueueDisk(mkdtempSync(join(inject('waxwingRunFolder'), 'disk-')));
    expect(disk.isFull()).toBe(false);
    const figures = await diskSource(disk).read();
    const of = (name: string) => figures.find((figure) => figure.name === name)?.value ?? -1;
    expect(of('waxwing_queue_disk_size_bytes')).toBeGreaterThan(0);
    expect(of('waxwing_queue_disk_used_bytes')).toBeLessThanOrEqual(of('waxwing_queue_disk_size_bytes'));
    expect(await diskSource(new QueueDisk('/nowhere/at/all')).read()).toEqual([]);
  });

  it('F20 · doctor and health report name it with what to do', async () => {
    const space = { sizeBytes: 8 * MIB, freeBytes: 0 };
    const away = () => Promise.reject(new Error('not asked here'));
    const client = { xrange: () => Promise.resolve([]), time: () => Promise.resolve([0, 0]), hget: away } as never;
    const findings = await diagnoseServices({
      ...{ client, shards: 1, pendingMigrations: away, jobQueues: away, pendingFailures: away },
      queueDisk: { space: () => Promise.resolve(space) },
    });
    expect(findings.find(({ about }) => about === 'queue disk')).toMatchObject({
      severity: 'finding',
      detail: expect.stringContaining('0 KiB of 8 MiB are free') as string,
    });
    const figures = [
      { name: 'waxwing_redis_up', labels: { redis: 'queue' }, value: 1 },
      { name: 'waxwing_postgres_up', value: 1 },
      { name: 'waxwing_queue_disk_size_bytes', value: 8 * MIB },
      { name: 'waxwing_queue_disk_used_bytes', value: 8 * MIB },
    ];
    const report = healthReport(figures, []);
    expect(report.status).toBe('degraded');
    expect(report.reasons).toEqual([expect.stringContaining('The disk of the queue is full')]);
  });
});

it('the health report says of an alert what is the case, and not only its name', () => {
  const figures = [
    { name: 'waxwing_redis_up', labels: { redis: 'queue' }, value: 1 },
    { name: 'waxwing_postgres_up', value: 1 },
  ];
  const alert = { rule: 'dead-letters', instance: '', state: 'firing', value: 1, sinceMs: 0, firedAtMs: 0 } as const;
  const { status, reasons } = healthReport(figures, [{ ...alert, calmSinceMs: null, resolvedAtMs: null }]);
  expect({ status, reasons }).toEqual({
    status: 'degraded',
    reasons: ['Messages have become dead letters in the last 10 minutes. (dead-letters)'],
  });
});

it('bytesInWords() gives two figures or more', () => {
  expect([0, 256 * 1024, 1.5 * MIB, 14.6 * MIB, 2 * GIB].map(bytesInWords)).toEqual([
    '0 KiB',
    '256 KiB',
    '1.5 MiB',
    '14 MiB',
    '2 GiB',
  ]);
});

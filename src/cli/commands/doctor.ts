import { defineCommand } from 'citty';
import { resolveKeys } from '../../config/index.ts';
import { commandClient, disconnect, whenReady } from '../../engine/connection.ts';
import { createLog } from '../../program/log.ts';
import { joinDataServices } from '../../program/data-services.ts';
import { openRecordOf } from '../../program/record.ts';
import { diagnose, type Finding } from '../../observe/doctor.ts';
import { CommandError, settings } from '../settings.ts';

export const doctor = defineCommand({
  meta: {
    name: 'doctor',
    description: 'Audit the live queue against the promises and the record; exit 1 on a finding',
  },
  args: { json: { type: 'boolean', description: 'Print JSON' } },
  async run({ args }) {
    const config = settings();
    const log = createLog('warn');
    const keys = await resolveKeys(config);
    const services = await joinDataServices(config, log);
    const record = openRecordOf(config, keys, services, log);
    const client = commandClient(services.redis, 30_000);
    try {
      if (!(await whenReady(client, 5000))) throw new CommandError('The queue Redis cannot be reached.');
      const findings = await diagnose({ client, shards: config.shards, durability: config.acceptDurability, record });
      console.log(args.json ? JSON.stringify({ ok: findings.every(isRemark), findings }) : report(findings));
      return findings.every(isRemark) ? 0 : 1;
    } finally {
      disconnect(client);
      await record.close();
      await services.stop();
    }
  },
});

function isRemark(finding: Finding): boolean {
  return finding.severity === 'remark';
}

function report(findings: readonly Finding[]): string {
  const lines = findings.map(
    ({ severity, about, detail }) => `${severity === 'remark' ? '·' : '✗'} ${about}: ${detail}`,
  );
  const bad = findings.filter((finding) => !isRemark(finding)).length;
  const verdict = bad === 0 ? '✓ Everything is as promised.' : `${bad} finding${bad === 1 ? '' : 's'}.`;
  return [...lines, verdict].join('\n');
}

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startEmulator } from '../../src/emulator/index.ts';
import { eventually } from '../support/services.ts';
import { dataFolder, run, waxwing } from './harness.ts';

/* Processes as a person starts them, on the embedded servers. */

describe('processes', () => {
  it(
    'services, one web and two workers share the work; the doctor finds everything as promised',
    { timeout: 120_000 },
    async () => {
      const emulator = await startEmulator({ settings: { latencyMsMin: 5, latencyMsMax: 15 } });
      onTestFinished(() => emulator.stop());
      const folder = dataFolder();
      const services = waxwing(['services', '--json'], { WAXWING_DATA_DIR: folder });
      const [line] = await services.saw(/\{.*\}/);
      const env = {
        ...(JSON.parse(line) as Record<string, string>),
        WAXWING_DATA_DIR: folder,
        WHATSAPP_API_URL: emulator.apiUrl,
        WHATSAPP_PHONE_NUMBER_ID: '100000000000001',
        WHATSAPP_ACCESS_TOKEN: 'token',
        PORT: '0',
        LOG_LEVEL: 'error',
      };
      const web = waxwing(['start', '--role', 'web'], env);
      const [, url = ''] = await web.saw(/ready \(web\) on (\S+)/);
      const workers = [1, 2].map(() => waxwing(['start', '--role', 'worker'], env));
      for (const worker of workers) await worker.saw(/ready \(worker\)/);

      for (const words of ['one', 'two']) {
        const sent = await run(['send', '+447700900123', words, '--url', url, '--wait', '20'], env);
        expect(sent).toMatchObject({ code: 0, stdout: expect.stringContaining('sent') as string });
      }
      expect(emulator.ledger().map((entry) => entry.taken)).toEqual([true, true]);

      // What is recorded is forgotten a second later; only then can the doctor compare everything.
      const report = await eventually(
        async () => {
          const doctor = await run(['doctor', '--json'], env);
          const { ok, findings } = JSON.parse(doctor.stdout) as { ok: boolean; findings: { detail: string }[] };
          expect(ok).toBe(true);
          return findings.some(({ detail }) => detail.startsWith('2 accepted, 2 recorded, 0 event'))
            ? doctor
            : undefined;
        },
        { timeoutMs: 30_000 },
      );
      expect(report.code).toBe(0);

      for (const process of [web, ...workers, services]) {
        process.child.kill('SIGTERM');
        expect((await process.finished).code).toBe(0);
      }
    },
  );

  it('a second program on one data folder gets a clear sentence', { timeout: 60_000 }, async () => {
    const env = { WAXWING_DATA_DIR: dataFolder() };
    const first = waxwing(['services', '--json'], env);
    await first.saw(/\{.*\}/);
    const second = await run(['start'], { ...env, PORT: '0' });
    expect(second.code).toBe(1);
    expect(second.stderr).toContain(String(first.child.pid));
    expect(second.stderr).toContain('WAXWING_DATA_DIR');
  });

  it('the demo sends sample traffic through the real engine and ends with a summary', { timeout: 90_000 }, async () => {
    const folder = dataFolder();
    const demo = waxwing(['demo', '--seconds', '6'], { WAXWING_DATA_DIR: folder, PORT: '0' });
    const { code, stdout, stderr } = await demo.finished;
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stdout).toMatch(/accepted (\d+) = sent [1-9]\d* \+ failed \d+ \+ still waiting \d+/);
    expect(stdout).toMatch(/duplicates +0\n/);
    expect(existsSync(join(folder, 'demo'))).toBe(true);
  });
});

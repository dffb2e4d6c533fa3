import pino from 'pino';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/index.ts';
import { prepareSenders } from '../../src/program/prepare-senders.ts';
import { dataFolder } from '../cli/harness.ts';
import { recordOfFile } from '../record/support/record.ts';

const { record } = await recordOfFile();

/** What a process with these settings says when it starts. */
async function start(settings: Readonly<Record<string, string>>): Promise<Record<string, unknown>[]> {
  const loaded = loadConfig(
    { WHATSAPP_PHONE_NUMBER_ID: '106540352242922', WHATSAPP_ACCESS_TOKEN: 'EAAG-secret', ...settings },
    dataFolder(),
  );
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  const said: string[] = [];
  const log = pino({}, { write: (line: string) => said.push(line) });
  await prepareSenders(loaded.config, { configureSender: () => Promise.resolve() }, record, true, log);
  return said.map((line) => JSON.parse(line) as Record<string, unknown>);
}

test('a process whose settings change a sender for all processes says which one and what', async () => {
  expect(await start({ SENDER_RATE_PER_SECOND: '80' })).toEqual([]);
  expect(await start({ SENDER_RATE_PER_SECOND: '80' })).toEqual([]);
  const told = await start({ SENDER_RATE_PER_SECOND: '20', WHATSAPP_PHONE_NUMBER_ID: '106540352242923' });
  expect(told).toMatchObject([
    {
      level: pino.levels.values['warn'],
      sender: 'default',
      changed: { ratePerSecond: { from: 80, to: 20 } },
      changedToo: ['externalId'],
    },
  ]);
  expect(JSON.stringify(told)).not.toContain('106540352242923');
  expect((await record.senders.get('default'))?.ratePerSecond).toBe(20);
});

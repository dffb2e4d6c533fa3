import { expect, test } from 'vitest';
import { InboundStatistics } from '../../src/inbound/index.ts';
import { Metrics } from '../../src/observe/index.ts';
import { inboundSource } from '../../src/program/inbound-figures.ts';
import { cloudReader } from '../../src/providers/cloud/reader.ts';
import { cloudBody, wamid } from '../inbound/support/cloud.ts';

async function shown(statistics: InboundStatistics): Promise<string[]> {
  const metrics = new Metrics({ ofProcess: false });
  metrics.register(inboundSource(statistics));
  return (await metrics.text()).split('\n').filter((line) => line.startsWith('waxwing_inbound'));
}

function told(field: string): InboundStatistics {
  const status = { id: wamid(), status: 'delivered', timestamp: '1790000000', [field]: 1 };
  const { events } = cloudReader.read(JSON.parse(cloudBody({ statuses: [status] })), Date.now());
  const statistics = new InboundStatistics();
  statistics.statuses(events.flatMap((event) => (event.kind === 'status' ? [event.status] : [])));
  return statistics;
}

test('Q3 · /metrics counts what came in, and fields of statuses that nobody knew under their own names', async () => {
  const statistics = told('brand_new_field');
  statistics.add('messages', 3);
  const lines = await shown(statistics);
  expect(lines).toContain('waxwing_inbound_total{what="statuses"} 1');
  expect(lines).toContain('waxwing_inbound_total{what="messages"} 3');
  expect(lines).toContain('waxwing_inbound_total{what="broken"} 0');
  expect(lines).toContain('waxwing_inbound_unknown_total{word="status.brand_new_field"} 1');
});

test('Q3 · known words are no unknown ones', async () => {
  const statistics = new InboundStatistics();
  statistics.event('template');
  statistics.event('other:account_offers');
  expect((await shown(statistics)).filter((line) => line.includes('unknown'))).toEqual([
    'waxwing_inbound_unknown_total{word="account_offers"} 1',
  ]);
});

test('no label holds data of a provider: words that look like it are counted together', async () => {
  const statistics = told('+4915112345678');
  for (let n = 0; n < 250; n += 1) statistics.event(`other:field ${n}`);
  expect((await shown(statistics)).filter((line) => line.includes('unknown'))).toEqual([
    'waxwing_inbound_unknown_total{word="other"} 251',
  ]);
});

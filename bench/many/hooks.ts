import type { Grant, SettleRequest } from '../../src/engine/contract.ts';
import { LiveTotals, Metrics, SendMetrics } from '../../src/observe/index.ts';
import { newId } from '../../src/util/ids.ts';

const CALLS = 200_000;
const TENANTS = 100;

/**
 * Processor time of everything that is told of one message while it is accepted and sent, in µs: what the figures add
 * to the hot path, without the noise of a whole system.
 */
export function hookUs(): number {
  const sending = new SendMetrics(new Metrics({ ofProcess: false }).registry, { tenantsMax: TENANTS });
  const totals = new LiveTotals();
  const requests = Array.from({ length: 1000 }, (_, n) => requestOf(n));
  const tell = (count: number) => {
    for (let n = 0; n < count; n += 1) {
      const request = requests[n % requests.length] as SettleRequest;
      sending.accepted({ lane: request.grant.lane }, { kind: 'accepted' });
      sending.settled(request);
      totals.count(`sent:${request.grant.lane.sender}`);
    }
  };
  tell(CALLS / 10);
  const before = process.cpuUsage();
  tell(CALLS);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / CALLS;
}

function requestOf(n: number): SettleRequest {
  const grant: Grant = {
    shard: 0,
    entry: `1700000000000-${n}`,
    lane: { sender: `s${n % 12}`, tenant: `t${n % TENANTS}`, conversation: `c${n}` },
    messageId: newId(),
    attempt: 1,
    counted: 0,
    deferrals: 0,
    contact: '+966500000000',
    expiresAtMs: null,
    body: JSON.stringify({ to: '+966500000000', type: 'text', content: { body: 'x' }, createdAtMs: 1 }),
  };
  const at = Date.now();
  return {
    grant,
    settlement: { kind: 'sent', providerMessageId: `wamid.${n}` },
    report: { worker: 'w', attempt: 1, startedAtMs: at, endedAtMs: at + 70, outcome: 'sent', httpStatus: 200 },
  };
}

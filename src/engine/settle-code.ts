import type { Brake, Settlement, SettleRequest } from './contract.ts';
import type { SettleDetail } from './events.ts';
import { packLane } from './lane.ts';
import type { ScriptArg } from './script-runner.ts';

/** What one outcome is for `lua/exchange.lua`: lane, id, entry, outcome, text of its event. */
export function encodeSettle(request: SettleRequest, ambiguousWaitMs: number): ScriptArg[] {
  const { grant, settlement, report } = request;
  // Only a message that is or was deferred has a failure record to keep; the others' events stay as small as they were.
  const isSlow = settlement.kind === 'deferred' || grant.deferrals > 0;
  const retries = isSlow ? { slowRetries: grant.deferrals } : {};
  const detail: SettleDetail = { ...detailOf(settlement, ambiguousWaitMs), ...retries, report };
  return [
    packLane(grant.lane),
    grant.messageId,
    grant.entry,
    outcomeOf(request),
    `${grant.messageId}|${JSON.stringify(detail)}`,
  ];
}

const KIND_LETTERS = { sent: 'S', failed: 'F', retry: 'R', deferred: 'D', unknown: 'U', unstarted: 'B' } as const;

/** The kind's letter alone where nothing else is to be told, as nearly always. */
function outcomeOf({ settlement, badHealth }: SettleRequest): string {
  const kind = KIND_LETTERS[settlement.kind];
  const health = badHealth === undefined ? '' : `${badHealth.opens ? '!' : '-'}${Math.round(badHealth.openMs)}`;
  const [number, flag] = numbersOf(settlement);
  const brake = encodeBrake(settlement.kind === 'retry' ? settlement.brake : undefined);
  if (health === '' && number === 0 && !flag && brake === '') return kind;
  return `${kind}${health}|${Math.round(number)}|${flag ? '1' : '0'}|${brake}`;
}

function numbersOf(settlement: Settlement): [number: number, flag: boolean] {
  if (settlement.kind === 'retry') return [settlement.delayMs, settlement.counted];
  if (settlement.kind === 'deferred') return [settlement.delayMs, settlement.block];
  return [0, false];
}

function detailOf(settlement: Settlement, ambiguousWaitMs: number): Omit<SettleDetail, 'report'> {
  switch (settlement.kind) {
    case 'sent':
      return { providerMessageId: settlement.providerMessageId };
    case 'failed':
      return { error: settlement.error };
    case 'retry':
      return { delayMs: settlement.delayMs };
    case 'deferred':
      return { delayMs: settlement.delayMs, ...(settlement.asked === true ? { asked: true } : {}) };
    case 'unknown':
      return { waitMs: ambiguousWaitMs };
    case 'unstarted':
      return {};
  }
}

function encodeBrake(brake: Brake | undefined): string {
  if (brake === undefined) return '';
  if (brake.on === 'sender') return `S${brake.reason}`;
  if (brake.on === 'template') return `T${brake.template}`;
  if (brake.on === 'pair') return `P${brake.waitsMs.map(Math.round).join(',')}`;
  return `N${Math.round(brake.waitMs)}`;
}

import type { ProviderEvent } from '../events.ts';
import { UnreadableItem } from '../collector.ts';
import { asArray, asObject, asText, asWholeNumber } from '../json.ts';

type Value = Readonly<Record<string, unknown>>;
type SenderState = Extract<ProviderEvent, { kind: 'sender' }>['state'];

const TEXT_MAX = 512;

/** Fields that tell of numbers and accounts; the value names the property that says what happened. */
const SENDER_FIELDS: Readonly<Record<string, string>> = {
  account_alerts: 'alert_type',
  account_review_update: 'decision',
  account_settings_update: 'type',
  account_update: 'event',
  business_capability_update: 'max_daily_conversations_per_business',
  business_status_update: 'event',
  phone_number_name_update: 'decision',
  phone_number_quality_update: 'event',
  security: 'event',
};

/** What `account_update` means for sending. Its other events change nothing. */
const ACCOUNT_STATES: Readonly<Record<string, SenderState>> = {
  ACCOUNT_DELETED: 'paused',
  ACCOUNT_OFFBOARDED: 'paused',
  ACCOUNT_RECONNECTED: 'usable',
};

/** A change of any other field than messages, echoes and preferences. */
export function accountEvent(
  field: string,
  value: Value,
  accountId: string | null,
  externalSenderId: string | null,
  atMs: number,
): ProviderEvent {
  if (field === 'message_template_status_update') return templateEvent(value, accountId);
  const property = Object.hasOwn(SENDER_FIELDS, field) ? SENDER_FIELDS[field] : undefined;
  if (property === undefined) return { kind: 'other', externalSenderId, type: field };
  const said = wordOf(value[property]);
  const { state, reason } = meaningOf(field, said, value);
  return { kind: 'sender', externalSenderId, accountId, state, event: `${field} ${said ?? ''}`.trim(), reason, atMs };
}

function templateEvent(value: Value, accountId: string | null): ProviderEvent {
  const name = asText(value['message_template_name'], TEXT_MAX);
  const event = asText(value['event'], 64);
  if (name === null || event === null) throw new UnreadableItem('it names no template or no event');
  const reason = asText(value['reason'], TEXT_MAX);
  const title = asText(asObject(value['other_info'])?.['title'], TEXT_MAX);
  return {
    kind: 'template',
    accountId,
    name,
    language: asText(value['message_template_language'], 64),
    providerTemplateId: wordOf(value['message_template_id']),
    event: event.toUpperCase(),
    // Meta writes NONE where there is no reason.
    reason: (reason === 'NONE' ? null : reason) ?? title,
  };
}

function meaningOf(field: string, said: string | null, value: Value): { state: SenderState; reason: string | null } {
  if (field !== 'account_update') return { state: 'unchanged', reason: reasonOf(value) };
  if (said === 'ACCOUNT_RESTRICTION') return restriction(value);
  if (said === 'DISABLED_UPDATE') return ban(value);
  const known = said !== null && Object.hasOwn(ACCOUNT_STATES, said) ? ACCOUNT_STATES[said] : undefined;
  const violation = asText(asObject(value['violation_info'])?.['violation_type'], TEXT_MAX);
  return { state: known ?? 'unchanged', reason: violation ?? reasonOf(value) };
}

/** A restriction that concerns messages stops the account; one on adding numbers, say, does not. */
function restriction(value: Value): { state: SenderState; reason: string | null } {
  const items = asArray(value['restriction_info']).map((item) => asObject(item) ?? {});
  const types = items.map((item) => asText(item['restriction_type'], 128) ?? 'UNNAMED');
  const stops = types.length === 0 || types.some((type) => type === 'UNNAMED' || type.includes('MESSAGING'));
  const until = items.map((item) => asWholeNumber(item['expiration'])).filter((at) => at !== null && at > 0);
  const end = until.length === 0 ? '' : ` until ${instant(Math.max(...(until as number[])))}`;
  return { state: stops ? 'paused' : 'unchanged', reason: `${types.join(', ')}${end}`.trim() || null };
}

function ban(value: Value): { state: SenderState; reason: string | null } {
  const state = asText(asObject(value['ban_info'])?.['waba_ban_state'], 64)?.toUpperCase() ?? null;
  if (state === 'REINSTATE') return { state: 'usable', reason: state };
  // Announced only: messages still go until the day comes.
  if (state === 'SCHEDULE_FOR_DISABLE') return { state: 'unchanged', reason: state };
  return { state: 'paused', reason: state };
}

function reasonOf(value: Value): string | null {
  return (
    wordOf(value['rejection_reason']) ??
    wordOf(value['alert_description']) ??
    wordOf(value['max_daily_conversations_per_business']) ??
    wordOf(value['current_limit'])
  );
}

/** Meta writes ids and figures as text or as numbers. */
function wordOf(value: unknown): string | null {
  return typeof value === 'number' ? String(value) : asText(value, TEXT_MAX);
}

function instant(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? String(seconds) : date.toISOString();
}

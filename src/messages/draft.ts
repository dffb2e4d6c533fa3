import type { NewMessage } from '../engine/contract.ts';
import { AppError } from '../errors/app-error.ts';
import type { MessageBody } from '../model/message.ts';
import { unsuitable } from '../providers/suitability.ts';
import type { SenderRecord, TenantRecord } from '../record/types.ts';
import { newId } from '../util/ids.ts';
import { currentTraceparent } from '../util/traces.ts';
import { bodyText, prepareMessage, type PreparedMessage } from './prepare.ts';
import { tenantOf, type Principal } from './principal.ts';
import type { MessageRequest } from './request.ts';
import type { Senders } from './senders.ts';
import { limitsOf, type Tenants } from './tenants.ts';

export interface DraftOptions {
  readonly idempotencyKey?: string | undefined;
  /** With `dedupe`: what this kind of message is called, part of its key. Default: its type. */
  readonly contentLabel?: string | undefined;
}

/** A valid message with its tenant and sender, before anything was stored. */
export interface Draft {
  readonly tenant: TenantRecord;
  readonly sender: SenderRecord;
  readonly prepared: PreparedMessage;
  readonly message: NewMessage;
}

export interface DraftPorts {
  readonly tenants: Pick<Tenants, 'resolve'>;
  readonly senders: Pick<Senders, 'choose'>;
  /** Wall clock, epoch ms. */
  readonly now: () => number;
}

/**
 * The message that a request means, stored nowhere. The request is checked before anybody is asked.
 * @throws AppError of the catalogue
 */
export async function draftMessage(
  { tenants, senders, now }: DraftPorts,
  request: MessageRequest,
  principal: Principal,
  { idempotencyKey, contentLabel }: DraftOptions,
): Promise<Draft> {
  const tenantId = tenantOf(principal, request.tenant);
  const nowMs = now();
  const prepared = prepareMessage(request, { idempotencyKey, nowMs, contentLabel });
  const traceparent = currentTraceparent();
  const body = bodyText(traceparent === undefined ? prepared.body : { ...prepared.body, traceparent });
  const tenant = await tenants.resolve(tenantId);
  const sender = await senders.choose(tenant.id, request.sender);
  refuseUnsuitable(sender, prepared.body);
  const { conversation, contact, priority, sendAtMs, expiresAtMs, idempotency } = prepared;
  const message: NewMessage = {
    id: newId(nowMs),
    lane: { sender: sender.id, tenant: tenant.id, conversation },
    contact,
    priority,
    ...(sendAtMs === null ? {} : { sendAtMs }),
    ...(expiresAtMs === null ? {} : { expiresAtMs }),
    ...(idempotency === null ? {} : { idempotency }),
    body,
    tenantLimits: limitsOf(tenant),
  };
  return { tenant, sender, prepared, message };
}

/** What the sender's provider cannot say is refused before anything is stored. */
function refuseUnsuitable(sender: SenderRecord, body: MessageBody): void {
  const found = unsuitable(sender, body);
  if (found === null) return;
  throw new AppError('MESSAGE_UNSUPPORTED', {
    field: found.field,
    detail: `${found.sentence} The message would go through the sender ${sender.id}.`,
  });
}

import { UnknownSenderError, type SendQueue } from '../engine/contract.ts';
import { AppError } from '../errors/app-error.ts';
import { forecast, type Forecast } from './forecast.ts';
import { tenantOf, type Principal } from './principal.ts';
import type { Senders } from './senders.ts';
import type { AttemptTime } from './supply.ts';
import type { Tenants } from './tenants.ts';

export interface ForecastPorts {
  readonly queue: Pick<SendQueue, 'lookAtSender'>;
  readonly tenants: Pick<Tenants, 'known'>;
  readonly senders: Pick<Senders, 'byId' | 'choose' | 'knowing'>;
  readonly attemptTime: (sender: string) => Promise<AttemptTime>;
  /** Limits of a tenant that does not exist yet. */
  readonly tenantDefaults?: { readonly concurrency: number; readonly weight: number } | undefined;
  /** Wall clock, epoch ms. */
  readonly now: () => number;
}

/** So many messages through a sender, each to another person. */
export interface Broadcast {
  readonly sender: string;
  readonly messages: number;
  /** Who would send them. Default: the key's tenant, else the sender's owner, else `default`. */
  readonly tenant: string | undefined;
}

/**
 * When a broadcast would be done, if it were accepted now.
 * @throws AppError as `Messages.forecast()`
 */
export async function forecastNow(ports: ForecastPorts, broadcast: Broadcast, principal: Principal): Promise<Forecast> {
  const { queue, tenants, senders, attemptTime } = ports;
  const wished = tenantOf(principal, broadcast.tenant);
  const isUnnamed = principal.kind === 'platform' && broadcast.tenant === undefined;
  const sender = isUnnamed ? await senders.byId(broadcast.sender) : await senders.choose(wished, broadcast.sender);
  const tenant = isUnnamed ? (sender.tenant ?? wished) : wished;
  const known = await tenants.known(tenant);
  if (known === null && broadcast.tenant !== undefined) {
    throw new AppError('NOT_FOUND', { detail: 'There is no such tenant.', field: 'tenant' });
  }
  const [look, time] = await Promise.all([
    senders.knowing(async () => {
      const found = await queue.lookAtSender(sender.id, tenant);
      // An emptied Redis knows nobody: the sender is told again and looked at once more.
      if (found === null) throw new UnknownSenderError(sender.id);
      return found;
    }),
    attemptTime(sender.id),
  ]);
  return forecast({
    sender: sender.id,
    tenant,
    messages: broadcast.messages,
    look,
    time,
    tenantLimits: known ?? ports.tenantDefaults ?? { concurrency: 5, weight: 1 },
    nowMs: ports.now(),
  });
}

import type { z } from 'zod';
import { AppError } from '../../errors/app-error.ts';
import { DEFAULT_SENDER, type SenderDefaults } from '../../messages/index.ts';
import { withoutPrefix } from '../../providers/twilio/addresses.ts';
import type { NewSender, SenderPatch } from '../../record/index.ts';
import type { SenderProvider } from '../../record/types.ts';
import { CREDENTIALS, type senderBody, type senderPatch } from './schemas.ts';

/**
 * A new sender as the record takes it, but for its shard. What the request leaves out is as the settings say.
 * @throws AppError `REQUEST_INVALID` for what no schema can see: an address that neither names, a tenant's `default`
 */
export function newSenderOf(body: z.infer<typeof senderBody>, defaults: SenderDefaults): Omit<NewSender, 'shard'> {
  const { tenant = null, portfolio = null, credentials, externalId, ...given } = body;
  if ((given.apiUrl ?? defaults.apiUrl) === '') {
    const detail = `Give the address of the ${given.provider} server.`;
    throw new AppError('REQUEST_INVALID', { field: 'apiUrl', detail });
  }
  if (given.id === DEFAULT_SENDER && tenant !== null) {
    const detail = 'The sender default is shared: choose another id.';
    throw new AppError('REQUEST_INVALID', { field: 'id', detail });
  }
  return {
    ...withDefaults(given, defaults),
    externalId: given.provider === 'twilio' ? withoutPrefix(externalId) : externalId,
    credentials: said(credentials),
    tenant,
    portfolio,
  };
}

/**
 * A change of a sender as the record takes it.
 * @param provider the sender's: a patch does not name it, so what belongs to one only is checked against it
 * @throws AppError `REQUEST_INVALID` for a channel or credentials of another provider
 */
export function patchOf(provider: SenderProvider, body: z.infer<typeof senderPatch>): SenderPatch {
  const { credentials, ...rest } = body;
  if (rest.channel !== undefined && provider !== 'evolution') {
    throw new AppError('REQUEST_INVALID', { field: 'channel', detail: 'Only a sender of Evolution has a channel.' });
  }
  if (credentials === undefined) return rest;
  const { success } = CREDENTIALS[provider].safeParse(credentials);
  if (success) return { ...rest, credentials: said(credentials) };
  const names = Object.keys(CREDENTIALS[provider].shape).join(', ');
  const detail = `This sender is at ${provider}: give ${names} as that provider needs them.`;
  throw new AppError('REQUEST_INVALID', { field: 'credentials', detail });
}

/** Fields that the request leaves out take the settings' values. */
function withDefaults<G extends object, D extends object>(given: G, defaults: D): Omit<G, keyof D> & D {
  return { ...defaults, ...said(given) };
}

/** Without the fields that are there but undefined, which count as left out. */
function said<G extends object>(given: G): { [K in keyof G]: Exclude<G[K], undefined> } {
  const kept = Object.entries(given).filter(([, value]) => value !== undefined);
  return Object.fromEntries(kept) as { [K in keyof G]: Exclude<G[K], undefined> };
}

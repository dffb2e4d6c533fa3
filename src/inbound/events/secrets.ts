import { DEFAULT_ENDPOINT } from '../../record/index.ts';
import { derivedSecret } from '../../util/signed-webhook.ts';

/** What signs the events of each receiver, the newest first: all of them sign, so that a secret can be changed. */
export type EventSecrets = (endpoint: string) => readonly string[];

/**
 * EVENTS_URL is signed with EVENTS_SECRET. A tenant's own address gets a secret of its own: with a shared one, a tenant
 * could sign events that another tenant believes.
 * @param shared EVENTS_SECRET: one or more with commas between them
 * @param fallback of tenants' secrets when EVENTS_SECRET is not set; known to this installation only
 */
export function createEventSecrets(shared: readonly string[], fallback: readonly string[]): EventSecrets {
  const roots = shared.length > 0 ? shared : fallback;
  return (endpoint) => (endpoint === DEFAULT_ENDPOINT ? roots : roots.map((root) => derivedSecret(root, endpoint)));
}

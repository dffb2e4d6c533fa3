import { LRUCache } from 'lru-cache';
import { newId } from '../../util/ids.ts';
import type { Database, Row } from '../database.ts';
import { aliasKeys, findAliases, mergeContacts, mergeRows, named } from './statements.ts';
import type { Alias, NewInboundMessage } from './types.ts';

/** Contacts that are remembered, so that a message of a known person costs no look-up. */
const KNOWN_MAX = 50_000;

export interface KnownPeopleOptions {
  /**
   * CACHE_USER_MAPPING_TTL: nothing that is remembered can be wrong for longer, ms. Default 300,000. A merged contact
   * is followed by the statement that writes.
   */
  readonly ttlMs?: number;
  /** Told of each name that was looked for: was it remembered. */
  readonly onLook?: (isKnown: boolean) => void;
}

const KNOWN_MS = 300_000;

export interface NewAlias extends Alias {
  readonly tenant: string;
  readonly contactId: string;
  /** The contact is new too. */
  readonly isNew: boolean;
  readonly name: string | null;
}

/** Which contact each message of a batch belongs to, and which names of people are new. */
export interface ResolvedPeople {
  /** In the order of the messages; null = nobody is named. */
  readonly contactIds: readonly (string | null)[];
  readonly aliases: readonly NewAlias[];
  /** Contacts that have a name which they had not before. */
  readonly changed: ReadonlySet<string>;
  /** Keeps what was learned. Call it when the batch is committed. */
  learn(): void;
}

/** Finds people by any of their names, from memory where it can. */
export interface People {
  resolve(messages: readonly Pick<NewInboundMessage, 'tenant' | 'aliases' | 'name'>[]): Promise<ResolvedPeople>;
}

interface AliasRow extends Row {
  readonly tenant: string;
  readonly kind: string;
  readonly value: string;
  readonly contact_id: string;
}

export function peopleOf(database: Database, { ttlMs = KNOWN_MS, onLook }: KnownPeopleOptions = {}): People {
  const known = new LRUCache<string, string>({ max: KNOWN_MAX, ttl: ttlMs });

  async function lookUp(keys: ReadonlyMap<string, { tenant: string; kind: string; value: string }>) {
    const found = new Map<string, string>();
    const unknown: { tenant: string; kind: string; value: string }[] = [];
    for (const [key, row] of keys) {
      const contactId = known.get(key);
      onLook?.(contactId !== undefined);
      if (contactId === undefined) unknown.push(row);
      else found.set(key, contactId);
    }
    if (unknown.length > 0) {
      const rows = await database.query<AliasRow>(
        findAliases,
        aliasKeys.parameters(unknown),
        named('find_aliases', unknown.length),
      );
      for (const row of rows) found.set(keyOf(row.tenant, row), row.contact_id);
    }
    return found;
  }

  /** Two contacts that one webhook names together are one person; the older one stays. */
  async function merge(pairs: readonly { loser: string; survivor: string }[], found: Map<string, string>) {
    if (pairs.length === 0) return;
    await database.query(mergeContacts, mergeRows.parameters(pairs));
    const survivors = new Map(pairs.map(({ loser, survivor }) => [loser, survivor]));
    for (const names of [found, known]) {
      for (const [key, contactId] of names.entries()) {
        const survivor = survivors.get(contactId);
        if (survivor !== undefined) names.set(key, survivor);
      }
    }
  }

  return {
    async resolve(messages) {
      const keys = new Map<string, { tenant: string; kind: string; value: string }>();
      for (const { tenant, aliases } of messages) {
        for (const alias of aliases) keys.set(keyOf(tenant, alias), { tenant, ...alias });
      }
      const found = await lookUp(keys);
      const merges = mergesIn(messages, found);
      await merge(merges, found);

      const aliases: NewAlias[] = [];
      const fresh = new Set<string>();
      const contactIds = messages.map(({ tenant, aliases: names, name }) => {
        if (names.length === 0) return null;
        let contactId = names.map((alias) => found.get(keyOf(tenant, alias))).find((id) => id !== undefined);
        if (contactId === undefined) {
          contactId = newId();
          fresh.add(contactId);
        }
        for (const alias of names) {
          const key = keyOf(tenant, alias);
          if (found.has(key)) continue;
          found.set(key, contactId);
          aliases.push({ tenant, ...alias, contactId, isNew: fresh.has(contactId), name });
        }
        return contactId;
      });
      return {
        contactIds,
        aliases,
        changed: new Set([...merges.map(({ survivor }) => survivor), ...aliases.map(({ contactId }) => contactId)]),
        learn: () => {
          // A new contact may have lost a race for its name; the next look-up tells.
          for (const [key, contactId] of found) {
            // What memory knew keeps its time: somebody who writes all day is looked up as often as others.
            if (!fresh.has(contactId) && !known.has(key)) known.set(key, contactId);
          }
        },
      };
    },
  };
}

function mergesIn(
  messages: readonly Pick<NewInboundMessage, 'tenant' | 'aliases'>[],
  found: ReadonlyMap<string, string>,
): { loser: string; survivor: string }[] {
  const survivors = new Map<string, string>();
  const root = (id: string): string => {
    const next = survivors.get(id);
    return next === undefined ? id : root(next);
  };
  for (const { tenant, aliases } of messages) {
    const ids = aliases.flatMap((alias) => found.get(keyOf(tenant, alias)) ?? []).map(root);
    // UUIDv7: the smaller one is the older one.
    const [survivor, ...losers] = [...new Set(ids)].sort();
    for (const loser of losers) if (survivor !== undefined) survivors.set(loser, survivor);
  }
  return [...survivors.keys()].map((loser) => ({ loser, survivor: root(loser) }));
}

function keyOf(tenant: string, { kind, value }: { readonly kind: string; readonly value: string }): string {
  return `${tenant}\n${kind}\n${value}`;
}

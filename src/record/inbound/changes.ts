import type { HoldFamily } from '../../model/sender-hold.ts';
import { newId } from '../../util/ids.ts';
import type { Database, Row } from '../database.ts';
import { mergeContacts, mergeRows } from './statements.ts';
import type { Alias } from './types.ts';

export interface SenderStanding {
  readonly id: string;
  /** Why a person paused it; null = nobody did. */
  readonly pausedReason: string | null;
  /** When a person last let it go on, epoch ms; null = never. */
  readonly resumedAtMs: number | null;
}

export interface SenderNews {
  /** Words of one kind are ordered among each other; see `holdFamily()`. */
  readonly family: HoldFamily;
  /** By the provider's time, see `ProviderEvent`. */
  readonly atMs: number;
  /** It may not send, or it may again. */
  readonly isHeld: boolean;
  /** In the words of the hold. */
  readonly reason: string;
}

/** What a provider tells about people and accounts. */
export interface ProviderChanges {
  /**
   * A person wants no marketing any more, or wants it again. Of one tenant, or of every tenant that knows the person
   * (null). Someone who is not known yet becomes a contact of the tenant, else of `strangersOf`: a refusal must not be
   * forgotten. A wish that is older than the last one changes nothing; of two of the same moment the refusal counts.
   */
  setMarketing(
    tenant: string | null,
    aliases: readonly Alias[],
    change: { readonly isWanted: boolean; readonly atMs: number; readonly strangersOf: string },
  ): Promise<void>;
  /**
   * A person got other names: they lead to the same contact from now on, in every tenant that knows the old ones. Where
   * the new ones have a contact already, because they wrote before this was told, the two become one.
   */
  addNames(tenant: string | null, before: readonly Alias[], after: readonly Alias[]): Promise<void>;
  /** Our senders of an account at the provider, or the one with this provider id. */
  sendersOf(
    provider: string,
    of: { readonly externalId: string | null; readonly accountId: string | null },
  ): Promise<SenderStanding[]>;
  /**
   * Notes what a provider told of a sender, unless something newer was told. Of two words of the same moment the one
   * that holds the sender counts; the same word again is as new as it was.
   * @returns whether it is the newest
   */
  noteNews(sender: string, news: SenderNews): Promise<boolean>;
  /** The newest word of this kind; null = none. */
  newsOf(sender: string, family: SenderNews['family']): Promise<SenderNews | null>;
  /** What the provider last said of each sender's quality: `FLAGGED TIER_10K`. */
  qualities(): Promise<{ readonly sender: string; readonly quality: string }[]>;
}

export function providerChangesOf(database: Database): ProviderChanges {
  const aliasColumns = (aliases: readonly Alias[]) => [
    aliases.map(({ kind }) => kind),
    aliases.map(({ value }) => value),
  ];

  return {
    async qualities() {
      return await database.query<{ sender: string; quality: string } & Row>(
        `select distinct on (sender) sender,
           concat_ws(' ', nullif(split_part(event, ' ', 2), ''), detail ->> 'reason') as quality
         from provider_events
         where kind = 'sender' and sender is not null and event like 'phone_number_quality_update%'
         order by sender, recorded_at desc`,
      );
    },

    async setMarketing(tenant, aliases, { isWanted, atMs, strangersOf }) {
      if (aliases.length === 0) return;
      await database.query(
        `with known as (
           select contact_id, tenant from contact_aliases
           join unnest($2::text[], $3::text[]) as row (kind, value) using (kind, value)
           where $1::text is null or tenant = $1
           limit 1
         ),
         alias as (
           insert into contact_aliases (tenant, kind, value, contact_id)
           select coalesce($1::text, $5), kind, value, coalesce((select contact_id from known), $4::uuid)
           from unnest($2::text[], $3::text[]) as row (kind, value)
           where $1::text is not null or not exists (select from known)
           order by kind, value
           on conflict do nothing
           returning contact_id
         )
         insert into contacts (id, tenant)
         select distinct contact_id, coalesce($1::text, $5) from alias where contact_id = $4::uuid`,
        [tenant, ...aliasColumns(aliases), newId(), strangersOf],
      );
      await database.query(
        `update contacts set marketing_opt_out_at = case when $4 then null else coalesce(marketing_opt_out_at, $5) end,
           marketing_changed_at = $5, updated_at = now()
         where id in (
           select coalesce(contact.merged_into, contact.id) from contact_aliases
           join unnest($2::text[], $3::text[]) as row (kind, value) using (kind, value)
           join contacts contact on contact.id = contact_aliases.contact_id
           where $1::text is null or contact_aliases.tenant = $1
         )
         and (marketing_changed_at is null or marketing_changed_at < $5 or (marketing_changed_at = $5 and not $4))`,
        [tenant, ...aliasColumns(aliases), isWanted, new Date(atMs)],
      );
    },

    async addNames(tenant, before, after) {
      if (before.length === 0 || after.length === 0) return;
      const found = await database.query<{ tenant: string; contact_id: string; is_before: boolean }>(
        `select distinct alias.tenant, coalesce(contact.merged_into, contact.id) as contact_id, name.is_before
         from unnest($2::text[], $3::text[], $4::boolean[]) as name (kind, value, is_before)
         join contact_aliases alias on alias.kind = name.kind and alias.value = name.value
         join contacts contact on contact.id = alias.contact_id
         where $1::text is null or alias.tenant = $1`,
        [tenant, ...aliasColumns([...before, ...after]), [...before.map(() => true), ...after.map(() => false)]],
      );
      const pairs = pairsOf(found);
      if (pairs.length > 0) await database.query(mergeContacts, mergeRows.parameters(pairs));
      await database.query(
        `insert into contact_aliases (tenant, kind, value, contact_id)
         select distinct on (known.tenant, name.kind, name.value) known.tenant, name.kind, name.value, known.contact_id
         from (
           select contact_aliases.tenant, coalesce(contact.merged_into, contact.id) as contact_id
           from contact_aliases
           join unnest($2::text[], $3::text[]) as row (kind, value) using (kind, value)
           join contacts contact on contact.id = contact_aliases.contact_id
           where $1::text is null or contact_aliases.tenant = $1
         ) known
         cross join unnest($4::text[], $5::text[]) as name (kind, value)
         order by known.tenant, name.kind, name.value, known.contact_id
         on conflict do nothing`,
        [tenant, ...aliasColumns(before), ...aliasColumns(after)],
      );
    },

    async sendersOf(provider, { externalId, accountId }) {
      const rows = await database.query<{ id: string; paused_reason: string | null; resumed_at: Date | null }>(
        `select id, paused_reason, resumed_at from senders
         where provider = $1 and (external_id = $2 or ($2::text is null and portfolio = $3))
         order by id`,
        [provider, externalId, accountId],
      );
      return rows.map((row) => ({
        id: row.id,
        pausedReason: row.paused_reason,
        resumedAtMs: row.resumed_at?.getTime() ?? null,
      }));
    },

    async noteNews(sender, { family, atMs, isHeld, reason }) {
      const rows = await database.query(
        `insert into sender_news as known (sender, family, at, is_held, reason) values ($1, $2, $3, $4, $5)
         on conflict (sender, family) do update set
           at = excluded.at, is_held = excluded.is_held, reason = excluded.reason
         where (known.at, known.is_held) <= (excluded.at, excluded.is_held)
         returning 1`,
        [sender, family, new Date(atMs), isHeld, reason],
      );
      return rows.length > 0;
    },

    async newsOf(sender, family) {
      const [row] = await database.query<{ at: Date; is_held: boolean; reason: string }>(
        'select at, is_held, reason from sender_news where sender = $1 and family = $2',
        [sender, family],
      );
      if (row === undefined) return null;
      return { family, atMs: row.at.getTime(), isHeld: row.is_held, reason: row.reason };
    },
  };
}

/** In each tenant that knows the old names: every contact behind any of the names is the oldest one. */
function pairsOf(found: readonly { tenant: string; contact_id: string; is_before: boolean }[]) {
  const tenants = new Set(found.filter(({ is_before }) => is_before).map(({ tenant }) => tenant));
  return [...tenants].flatMap((tenant) => {
    const ids = found.filter((row) => row.tenant === tenant).map(({ contact_id }) => contact_id);
    // UUIDv7: the smaller one is the older one.
    const [survivor, ...losers] = [...new Set(ids)].sort();
    return survivor === undefined ? [] : losers.map((loser) => ({ loser, survivor }));
  });
}

import { newId } from '../../util/ids.ts';
import type { Database, Row } from '../database.ts';
import type { Alias } from './types.ts';

/** What a provider tells about people and accounts. */
export interface ProviderChanges {
  /**
   * A person wants no marketing any more, or wants it again. Of one tenant, or of every tenant that knows the person
   * (null). Someone who is not known yet becomes a contact of the tenant: a refusal must not be forgotten.
   */
  setMarketing(
    tenant: string | null,
    aliases: readonly Alias[],
    change: { readonly isWanted: boolean; readonly atMs: number },
  ): Promise<void>;
  /** A person got other names: they lead to the same contact from now on, in every tenant that knows the old ones. */
  addNames(tenant: string | null, before: readonly Alias[], after: readonly Alias[]): Promise<void>;
  /** Our senders of an account at the provider, or the one with this provider id. */
  sendersOf(
    provider: string,
    of: { readonly externalId: string | null; readonly accountId: string | null },
  ): Promise<{ readonly id: string; readonly pausedReason: string | null }[]>;
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

    async setMarketing(tenant, aliases, { isWanted, atMs }) {
      if (aliases.length === 0) return;
      if (tenant !== null && !isWanted) {
        await database.query(
          `with known as (
             select contact_id from contact_aliases
             join unnest($2::text[], $3::text[]) as row (kind, value) using (kind, value)
             where tenant = $1 limit 1
           ),
           alias as (
             insert into contact_aliases (tenant, kind, value, contact_id)
             select $1, kind, value, coalesce((select contact_id from known), $4::uuid)
             from unnest($2::text[], $3::text[]) as row (kind, value)
             order by kind, value
             on conflict do nothing
             returning contact_id
           )
           insert into contacts (id, tenant)
           select distinct contact_id, $1 from alias where contact_id = $4::uuid`,
          [tenant, ...aliasColumns(aliases), newId()],
        );
      }
      await database.query(
        `update contacts set marketing_opt_out_at = case when $4 then null else coalesce(marketing_opt_out_at, $5) end,
           updated_at = now()
         where id in (
           select coalesce(contact.merged_into, contact.id) from contact_aliases
           join unnest($2::text[], $3::text[]) as row (kind, value) using (kind, value)
           join contacts contact on contact.id = contact_aliases.contact_id
           where $1::text is null or contact_aliases.tenant = $1
         )`,
        [tenant, ...aliasColumns(aliases), isWanted, new Date(atMs)],
      );
    },

    async addNames(tenant, before, after) {
      if (before.length === 0 || after.length === 0) return;
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
      const rows = await database.query<{ id: string; paused_reason: string | null }>(
        `select id, paused_reason from senders
         where provider = $1 and (external_id = $2 or ($2::text is null and portfolio = $3))
         order by id`,
        [provider, externalId, accountId],
      );
      return rows.map((row) => ({ id: row.id, pausedReason: row.paused_reason }));
    },
  };
}

/**
 * The names of a contact as one JSON list, by kind. Of several phone numbers the one that the provider itself uses
 * (its `wa_id`) comes first, then the one learned last: the canonical form of a number only finds people, and in
 * Argentina it is a landline.
 * @param contactId SQL that gives the contact's id
 */
export function aliasList(contactId: string): string {
  return `(
    select coalesce(
      jsonb_agg(
        jsonb_build_object('kind', alias.kind, 'value', alias.value)
        order by alias.kind, own.is_own desc, alias.created_at desc, length(alias.value) desc, alias.value
      ),
      '[]'
    )
    from contact_aliases alias
    cross join lateral (
      select exists (
        select from contact_aliases wa
        where wa.contact_id = alias.contact_id and wa.kind = 'wa_id' and alias.value = '+' || wa.value
      ) as is_own
    ) own
    where alias.contact_id = ${contactId}
  )`;
}

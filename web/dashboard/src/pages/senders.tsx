import type { LiveSender } from '../../../../src/observe/live/types.ts';
import { useGet } from '../api.ts';
import { Choice, Field } from '../filters.tsx';
import { count } from '../format.ts';
import { go, href, place } from '../router.ts';
import { SenderTable } from '../sender-table.tsx';
import { Card, Empty, Heading, NumberedPages, Trouble } from '../ui.tsx';

interface Page {
  readonly items: readonly LiveSender[];
  readonly total: number;
  readonly pageSize: number;
}

export function Senders() {
  const params = place.value.searchParams;
  const query = { search: params.get('search') ?? '', only: params.get('only') ?? '', page: params.get('page') ?? '' };
  const asked = new URLSearchParams({ search: query.search, page: query.page || '0', only: query.only || 'all' });
  const { data, error } = useGet<Page>(`/dashboard/api/senders?${asked.toString()}`, 1500);
  return (
    <>
      <Heading aside={data !== null && <span class="dim">{count(data.total)}</span>}>Senders</Heading>
      <form class="filters" role="search" aria-label="Filter senders" onSubmit={(event) => event.preventDefault()}>
        <Field
          label="Id or tenant"
          value={query.search}
          onChange={(search) => go(href('/senders', { ...query, search, page: null }), true)}
        />
        <Choice
          label="Which"
          value={query.only}
          any="All"
          options={[
            ['waiting', 'With messages in the queue'],
            ['paused', 'Paused'],
            ['trouble', 'Paused, slowed or circuit open'],
          ]}
          onChange={(only) => go(href('/senders', { ...query, only, page: null }), true)}
        />
      </form>
      <Trouble error={error} />
      {data !== null && (
        <Card title="Senders">
          {data.items.length === 0 ? <Empty>No sender fits.</Empty> : <SenderTable senders={data.items} />}
        </Card>
      )}
      {data !== null && <NumberedPages path="/senders" query={query} total={data.total} pageSize={data.pageSize} />}
    </>
  );
}

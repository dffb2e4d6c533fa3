import { useGet } from '../api.ts';
import { HOLD_WORDS, holdName, STATUS_WORDS, time } from '../format.ts';
import { go, href, place } from '../router.ts';
import { Choice, Day, Field, TenantField } from '../filters.tsx';
import { Empty, Heading, Pages, Status, Table, Trouble } from '../ui.tsx';

interface Item {
  readonly id: string;
  readonly tenant: string;
  readonly sender: string;
  readonly type: string;
  readonly status: string;
  readonly hold: { readonly kind: string; readonly until: string | null } | null;
  readonly attempts: number;
  readonly createdAt: string;
  readonly to: string | null;
  readonly text: string | null;
  readonly error: { readonly code: string; readonly title: string } | null;
}

interface Page {
  readonly items: readonly Item[];
  readonly next: string | null;
  /** Waiting messages that were asked about; null = no hold was wanted. */
  readonly looked: number | null;
}

const FIELDS = ['tenant', 'sender', 'status', 'hold', 'order', 'from', 'to', 'cursor'] as const;
const STATUSES = 'queued scheduled deferred unknown sent delivered read failed cancelled expired'.split(' ');
const HOLDS = 'conversation pair tenant sender-rate sender-paused circuit scheduled retry window template-paused'.split(
  ' ',
);

export function Messages() {
  const params = place.value.searchParams;
  const query = Object.fromEntries(FIELDS.map((name) => [name, params.get(name) ?? '']));
  const asked = new URLSearchParams({ limit: '50' });
  for (const name of FIELDS) if (query[name] && name !== 'order') asked.set(name, query[name]);
  if (query['order'] === 'oldest') asked.set('oldest', 'true');
  const isFirst = query['cursor'] === '';
  const { data, error } = useGet<Page>(`/dashboard/api/messages?${asked.toString()}`, isFirst ? 3000 : undefined);
  const change = (name: string, value: string) => {
    go(href('/messages', { ...query, cursor: null, [name]: value }), true);
  };
  return (
    <>
      <Heading>Messages</Heading>
      <form class="filters" role="search" aria-label="Filter messages" onSubmit={(event) => event.preventDefault()}>
        <TenantField value={query['tenant'] ?? ''} onChange={(value) => change('tenant', value)} />
        <Field label="Sender" value={query['sender'] ?? ''} onChange={(value) => change('sender', value)} />
        <Choice
          label="State"
          value={query['status'] ?? ''}
          options={STATUSES.map((status) => [status, STATUS_WORDS[status] ?? status])}
          onChange={(value) => go(href('/messages', { ...query, cursor: null, status: value, hold: null }), true)}
        />
        <Choice
          label="Held by"
          value={query['hold'] ?? ''}
          options={HOLDS.map((hold) => [hold, holdName(hold)])}
          onChange={(value) => go(href('/messages', { ...query, cursor: null, hold: value, status: null }), true)}
        />
        <Day label="From" value={query['from'] ?? ''} onChange={(value) => change('from', value)} />
        <Day label="To" value={query['to'] ?? ''} isEnd onChange={(value) => change('to', value)} />
        <Choice
          label="Order"
          value={query['order'] ?? ''}
          any="Newest first"
          options={[['oldest', 'Oldest first']]}
          onChange={(value) => change('order', value)}
        />
      </form>
      {query['hold'] !== '' && <p class="dim">{HOLD_WORDS[query['hold'] ?? '']?.[1]}</p>}
      <Trouble error={error} />
      {data !== null && <List page={data} />}
      <Pages
        path="/messages"
        query={query}
        next={data?.next ?? null}
        word={data === null || data.looked === null || data.items.length > 0 ? 'Next page' : 'Look further'}
      />
    </>
  );
}

function List({ page }: { page: Page }) {
  if (page.items.length === 0) {
    return (
      <Empty>
        {page.looked !== null && page.looked > 0
          ? `None of the ${page.looked} waiting messages looked at is held by this${page.next === null ? '' : '; there are more'}.`
          : 'No messages fit.'}
      </Empty>
    );
  }
  return (
    <Table stacks label="Messages" head={['When', 'Tenant', 'To', 'What', 'State', 'Sender']}>
      {page.items.map((item) => (
        <tr key={item.id}>
          <th scope="row">
            <a href={href(`/messages/${item.id}`)}>{time(item.createdAt)}</a>
          </th>
          <td>{item.tenant}</td>
          <td class="mono">{item.to ?? '–'}</td>
          <td class="what">
            <span class="kind">{item.type}</span> {item.text !== null && <span>{item.text}</span>}
          </td>
          <td>
            <Status status={item.status} />
            {item.hold !== null && <span class="sub">{holdName(item.hold.kind)}</span>}
            {item.error !== null && (
              <span class="sub bad">
                {item.error.code} {item.error.title}
              </span>
            )}
          </td>
          <td>{item.sender}</td>
        </tr>
      ))}
    </Table>
  );
}

import { pause, resume } from '../acts.tsx';
import { may, useGet } from '../api.ts';
import { count, duration } from '../format.ts';
import { skewMs } from '../live.ts';
import { go, href, place } from '../router.ts';
import { Choice, Field } from '../filters.tsx';
import { Bar, Empty, Heading, NumberedPages, Table, Trouble } from '../ui.tsx';

interface Tenant {
  readonly id: string;
  readonly name: string;
  readonly pausedReason: string | null;
  readonly waiting: number;
  readonly parked: number;
  readonly inFlight: number;
  readonly concurrency: number;
  readonly oldestAtMs: number | null;
}

interface Page {
  readonly items: readonly Tenant[];
  readonly total: number;
  readonly page: number;
  readonly pageSize: number;
  readonly isCut: boolean;
}

export function Tenants() {
  const params = place.value.searchParams;
  const query = { search: params.get('search') ?? '', only: params.get('only') ?? '', page: params.get('page') ?? '' };
  const asked = new URLSearchParams({ search: query.search, page: query.page || '0', only: query.only || 'all' });
  const { data, error } = useGet<Page>(`/dashboard/api/tenants?${asked.toString()}`, 1500);
  return (
    <>
      <Heading aside={data !== null && <span class="dim">{count(data.total)}</span>}>Tenants</Heading>
      <form class="filters" role="search" aria-label="Filter tenants" onSubmit={(event) => event.preventDefault()}>
        <Field
          label="Id or name"
          value={query.search}
          onChange={(search) => go(href('/tenants', { ...query, search, page: null }), true)}
        />
        <Choice
          label="Which"
          value={query.only}
          any="All"
          options={[
            ['waiting', 'With messages in the queue'],
            ['paused', 'Paused'],
          ]}
          onChange={(only) => go(href('/tenants', { ...query, only, page: null }), true)}
        />
      </form>
      <Trouble error={error} />
      {data !== null && data.items.length === 0 && <Empty>No tenant fits.</Empty>}
      {data !== null && data.items.length > 0 && (
        <Table stacks label="Tenants" head={['Tenant', '#Waiting', 'Lag', 'In flight', '#Later', 'State', '']}>
          {data.items.map((tenant) => (
            <Row key={tenant.id} tenant={tenant} />
          ))}
        </Table>
      )}
      {data !== null && <NumberedPages path="/tenants" query={query} total={data.total} pageSize={data.pageSize} />}
    </>
  );
}

function Row({ tenant }: { tenant: Tenant }) {
  const { id, pausedReason } = tenant;
  const lag = tenant.oldestAtMs === null ? '–' : duration(Math.max(0, Date.now() - skewMs.value - tenant.oldestAtMs));
  return (
    <tr>
      <th scope="row">
        <a href={href('/messages', { tenant: id })}>{id}</a>
        {tenant.name !== id && <span class="sub">{tenant.name}</span>}
      </th>
      <td class="num">
        <a href={href('/messages', { tenant: id, status: 'queued', order: 'oldest' })}>{count(tenant.waiting)}</a>
      </td>
      <td>{lag}</td>
      <td>
        {tenant.concurrency > 0 ? (
          <>
            <Bar value={tenant.inFlight} of={tenant.concurrency} tone="ink" />
            <span class="sub">
              {count(tenant.inFlight)} of {count(tenant.concurrency)}
            </span>
          </>
        ) : (
          '–'
        )}
      </td>
      <td class="num">{count(tenant.parked)}</td>
      <td>
        {pausedReason === null ? (
          <span class={`tag t-${tenant.waiting + tenant.inFlight > 0 ? 'sending' : 'idle'}`}>
            {tenant.waiting + tenant.inFlight > 0 ? 'Active' : 'Quiet'}
          </span>
        ) : (
          <>
            <span class="tag t-paused">Paused</span>
            <span class="sub">{pausedReason}</span>
          </>
        )}
      </td>
      <td class="acts">
        {may('operator') &&
          (pausedReason === null ? (
            <button type="button" class="plain" onClick={() => pause('tenant', id)} aria-label={`Pause tenant ${id}`}>
              Pause
            </button>
          ) : (
            <button type="button" onClick={() => resume('tenant', id)} aria-label={`Resume tenant ${id}`}>
              Resume
            </button>
          ))}
      </td>
    </tr>
  );
}

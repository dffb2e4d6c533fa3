import { pause, resume } from '../acts.tsx';
import { may } from '../api.ts';
import { count, duration } from '../format.ts';
import { skewMs } from '../live.ts';
import { NumberedList } from '../numbered-list.tsx';
import { href } from '../router.ts';
import { Bar, Table } from '../ui.tsx';

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

export function Tenants() {
  return (
    <NumberedList<Tenant>
      path="/tenants"
      title="Tenants"
      searchLabel="Id or name"
      choices={[
        ['waiting', 'With messages in the queue'],
        ['paused', 'Paused'],
      ]}
      none="No tenant fits."
    >
      {(tenants) => (
        <Table stacks label="Tenants" head={['Tenant', '#Waiting', 'Lag', 'In flight', '#Later', 'State', '']}>
          {tenants.map((tenant) => (
            <Row key={tenant.id} tenant={tenant} />
          ))}
        </Table>
      )}
    </NumberedList>
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

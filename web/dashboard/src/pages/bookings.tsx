import { useGet } from '../api.ts';
import { time } from '../format.ts';
import { go, href, place } from '../router.ts';
import { Empty, Heading, Table, Trouble } from '../ui.tsx';
import { Choice, Field } from './messages.tsx';

interface Booking {
  readonly id: string;
  readonly customerPhone: string;
  readonly customerName: string | null;
  readonly serviceName: string;
  readonly serviceDate: string;
  readonly status: string;
  readonly reminders: readonly {
    readonly kind?: string;
    readonly type?: string;
    readonly dueAt: string;
    readonly status: string;
    readonly messageId: string | null;
  }[];
}

interface Page {
  readonly items: readonly Booking[];
  readonly next: string | null;
}

export function Bookings() {
  const params = place.value.searchParams;
  const query = {
    tenant: params.get('tenant') ?? '',
    status: params.get('status') ?? '',
    cursor: params.get('cursor') ?? '',
  };
  const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== ''));
  const { data, error } = useGet<Page>(`/dashboard/api/bookings?${asked.toString()}`, 5000);
  return (
    <>
      <Heading>Bookings</Heading>
      <form class="filters" role="search" aria-label="Filter bookings" onSubmit={(event) => event.preventDefault()}>
        <Field
          label="Tenant (default)"
          value={query.tenant}
          onChange={(tenant) => go(href('/bookings', { ...query, tenant, cursor: null }), true)}
        />
        <Choice
          label="State"
          value={query.status}
          options={[
            ['active', 'Active'],
            ['cancelled', 'Cancelled'],
          ]}
          onChange={(status) => go(href('/bookings', { ...query, status, cursor: null }), true)}
        />
      </form>
      <Trouble error={error} />
      {data !== null && data.items.length === 0 && <Empty>This tenant has no such bookings.</Empty>}
      {data !== null && data.items.length > 0 && (
        <Table label="Bookings" head={['When', 'What', 'Who', 'State', 'Reminders']}>
          {data.items.map((booking) => (
            <tr key={booking.id}>
              <th scope="row">{time(booking.serviceDate)}</th>
              <td>{booking.serviceName}</td>
              <td>
                {booking.customerName} <span class="sub mono">{booking.customerPhone}</span>
              </td>
              <td>
                <span class={`tag ${booking.status === 'active' ? 't-sending' : 't-idle'}`}>{booking.status}</span>
              </td>
              <td>
                {booking.reminders.map((reminder) => (
                  <span class="sub" key={`${reminder.kind ?? reminder.type ?? ''}${reminder.dueAt}`}>
                    {reminder.messageId === null ? (
                      `${reminder.status} ${time(reminder.dueAt)}`
                    ) : (
                      <a href={href(`/messages/${reminder.messageId}`)}>
                        {reminder.status} {time(reminder.dueAt)}
                      </a>
                    )}
                  </span>
                ))}
              </td>
            </tr>
          ))}
        </Table>
      )}
      {data?.next != null && (
        <nav class="pages" aria-label="Pages">
          <a href={href('/bookings', { ...query, cursor: data.next })}>Next page</a>
        </nav>
      )}
    </>
  );
}

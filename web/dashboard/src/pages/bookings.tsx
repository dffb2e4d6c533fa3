import { useGet } from '../api.ts';
import { Choice, TenantField } from '../filters.tsx';
import { moment } from '../format.ts';
import { go, href, place } from '../router.ts';
import { Empty, Heading, Pages, Table, Trouble } from '../ui.tsx';

interface Booking {
  readonly id: string;
  readonly tenant: string;
  readonly customerPhone: string;
  readonly customerName: string | null;
  readonly serviceName: string;
  readonly serviceDate: string;
  readonly status: 'active' | 'cancelled';
  readonly reminders: readonly {
    readonly kind: string;
    readonly dueAt: string;
    readonly status: ReminderState;
    readonly reason: string | null;
    readonly messageId: string | null;
    readonly sentAt: string | null;
  }[];
}

type ReminderState = 'scheduled' | 'sent' | 'cancelled' | 'skipped' | 'failed';

interface Page {
  readonly items: readonly Booking[];
  readonly next: string | null;
}

const REMINDER_WORDS: Readonly<Record<ReminderState, string>> = {
  scheduled: 'Waits',
  sent: 'Sent',
  cancelled: 'Cancelled',
  skipped: 'Skipped',
  failed: 'Failed',
};
const FIELDS = ['when', 'tenant', 'status', 'reminder', 'cursor'] as const;

export function Bookings() {
  const params = place.value.searchParams;
  const query = Object.fromEntries(FIELDS.map((name) => [name, params.get(name) ?? ''])) as Record<
    (typeof FIELDS)[number],
    string
  >;
  const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== ''));
  const { data, error } = useGet<Page>(`/dashboard/api/bookings?${asked.toString()}`, 5000);
  const change = (name: string, value: string) =>
    go(href('/bookings', { ...query, cursor: null, [name]: value }), true);
  return (
    <>
      <Heading>Bookings</Heading>
      <form class="filters" role="search" aria-label="Filter bookings" onSubmit={(event) => event.preventDefault()}>
        <Choice
          label="When"
          value={query.when}
          any="Coming"
          options={[
            ['past', 'Past'],
            ['all', 'All'],
          ]}
          onChange={(value) => change('when', value)}
        />
        <TenantField value={query.tenant} onChange={(value) => change('tenant', value)} />
        <Choice
          label="State"
          value={query.status}
          options={[
            ['active', 'Active'],
            ['cancelled', 'Cancelled'],
          ]}
          onChange={(value) => change('status', value)}
        />
        <Choice
          label="With a reminder that"
          value={query.reminder}
          options={[
            ['scheduled', 'waits'],
            ['sent', 'was sent'],
            ['skipped', 'was skipped'],
            ['failed', 'failed'],
            ['cancelled', 'was cancelled'],
          ]}
          onChange={(value) => change('reminder', value)}
        />
      </form>
      <Trouble error={error} />
      {data !== null && data.items.length === 0 && <Empty>No bookings fit.</Empty>}
      {data !== null && data.items.length > 0 && (
        <Table stacks label="Bookings" head={['When', 'Tenant', 'What', 'Who', 'State', 'Reminders']}>
          {data.items.map((booking) => (
            <Row key={`${booking.tenant} ${booking.id}`} booking={booking} />
          ))}
        </Table>
      )}
      <Pages path="/bookings" query={query} next={data?.next ?? null} />
    </>
  );
}

function Row({ booking }: { booking: Booking }) {
  const isActive = booking.status === 'active';
  return (
    <tr>
      <th scope="row">
        {moment(booking.serviceDate)}
        <span class="sub mono">{booking.id}</span>
      </th>
      <td>
        <a href={href('/bookings', { tenant: booking.tenant })}>{booking.tenant}</a>
      </td>
      <td>{booking.serviceName}</td>
      <td>
        {booking.customerName} <span class="sub mono">{booking.customerPhone}</span>
      </td>
      <td>
        <span class={`tag ${isActive ? 't-sending' : 't-idle'}`}>{isActive ? 'Active' : 'Cancelled'}</span>
      </td>
      <td>
        {booking.reminders.length === 0 && <span class="dim">none</span>}
        <ul class="lines">
          {booking.reminders.map((reminder) => (
            <li key={reminder.kind}>
              <span class={`tag r-${reminder.status}`}>{REMINDER_WORDS[reminder.status]}</span> {kindOf(reminder.kind)},{' '}
              {reminder.messageId === null ? (
                moment(reminder.sentAt ?? reminder.dueAt)
              ) : (
                <a href={href(`/messages/${reminder.messageId}`)}>{moment(reminder.sentAt ?? reminder.dueAt)}</a>
              )}
              {reminder.reason !== null && <span class="sub">{reminder.reason}</span>}
            </li>
          ))}
        </ul>
      </td>
    </tr>
  );
}

/** `day_before`, `hour_before`, or minutes before: `90m`. */
function kindOf(kind: string): string {
  if (kind === 'day_before') return 'a day before';
  if (kind === 'hour_before') return 'an hour before';
  return `${kind.replace(/m$/, '')} min before`;
}

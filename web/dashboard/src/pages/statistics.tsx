import { useGet } from '../api.ts';
import { type Column, Columns, labelsMax } from '../columns.tsx';
import { Choice, Day, TenantField } from '../filters.tsx';
import { count, duration, STATUS_WORDS, time } from '../format.ts';
import { go, href, place } from '../router.ts';
import { ByDay, Legend } from '../statistics/by-day.tsx';
import type { StatsReport } from '../../../../src/stats/report.ts';
import { Bar, Card, Empty, Heading, Trouble } from '../ui.tsx';

const DAYS = { '7': 'Last 7 days', '30': 'Last 30 days', '90': 'Last 90 days', '365': 'Last 365 days' };
const FIELDS = ['tenant', 'days', 'from', 'to'] as const;
type Query = Record<(typeof FIELDS)[number], string>;

export function Statistics() {
  const params = place.value.searchParams;
  const query = Object.fromEntries(FIELDS.map((name) => [name, params.get(name) ?? ''])) as Query;
  const { data, error, isLoading } = useGet<StatsReport>(`/dashboard/api/stats?${askedOf(query).toString()}`, 30_000);
  const change = (more: Partial<Query>) => go(href('/statistics', { ...query, ...more }), true);
  const isOwn = query.from !== '' || query.to !== '';
  return (
    <>
      <Heading aside={data !== null && <span class="dim">{rangeOf(data)}</span>}>Statistics</Heading>
      <form class="filters" role="search" aria-label="Choose figures" onSubmit={(event) => event.preventDefault()}>
        <TenantField label="Tenant (empty: all)" value={query.tenant} onChange={(tenant) => change({ tenant })} />
        <Choice
          label="Time"
          value={isOwn ? 'own' : query.days || '30'}
          any={null}
          options={[...Object.entries(DAYS), ...(isOwn ? [['own', 'Own days'] as const] : [])]}
          onChange={(days) => change({ days, from: '', to: '' })}
        />
        <Day label="From" value={query.from} onChange={(from) => change({ from })} />
        <Day label="To" value={query.to} isEnd onChange={(to) => change({ to })} />
      </form>
      <Trouble error={error} />
      {data === null && isLoading && <p class="dim">Counting …</p>}
      {data !== null && <Figures report={data} query={query} />}
    </>
  );
}

function askedOf({ tenant, days, from, to }: Query): URLSearchParams {
  const asked = new URLSearchParams({ timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone });
  if (tenant !== '') asked.set('tenant', tenant);
  if (from !== '' || to !== '') {
    if (from !== '') asked.set('from', from);
    if (to !== '') asked.set('to', to);
    return asked;
  }
  // From the midnight that began the first of the days, so that no day is cut.
  const start = new Date();
  start.setHours(0, 0, 0, 0);
  start.setDate(start.getDate() - Number(days === '' ? 30 : days) + 1);
  asked.set('from', start.toISOString());
  return asked;
}

function rangeOf({ from, to, generatedAt }: StatsReport): string {
  const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', year: 'numeric' });
  const end = Math.min(Date.parse(to) - 1, Date.now());
  return `${day.format(new Date(from))} – ${day.format(end)} · counted ${time(generatedAt)}`;
}

const percent = (share: number | null) => (share === null ? '–' : `${Math.round(share * 1000) / 10} %`);
const lasting = (ms: number | null) => (ms === null ? '–' : duration(ms));

function Figures({ report, query }: { report: StatsReport; query: Query }) {
  const { messages, responseTime, bookings } = report;
  const failed = messages.byStatus.failed;
  const span = { tenant: query.tenant, from: report.from, to: report.to };
  const figures = [
    ['Messages', count(messages.total), `${count(messages.received)} received`, href('/messages', span)],
    ['Delivered', percent(report.deliveryRate), 'of those sent', href('/messages', { ...span, status: 'delivered' })],
    ['Read', percent(report.readRate), 'of those delivered', href('/messages', { ...span, status: 'read' })],
    ['Failed', count(failed), percent(messages.total === 0 ? null : failed / messages.total), href('/failures', span)],
    ['Until sent', lasting(report.averageSendMs), 'on average', null],
    [
      'Answered in',
      lasting(responseTime.medianMs),
      responseTime.answers === 0 ? 'nothing to answer yet' : `half of ${count(responseTime.answers)} answers`,
      null,
    ],
  ] as const;
  return (
    <>
      <div class="figures calm six">
        {figures.map(([label, value, more, to]) => (
          <Figure key={label} label={label} value={value} more={more} to={to} />
        ))}
      </div>
      <Card title="Messages by day" aside={<Legend />}>
        <ByDay report={report} />
      </Card>
      <div class="grid three">
        <Card title="What became of them">
          <States report={report} span={span} />
        </Card>
        <Card title="Failures by reason">
          <Reasons report={report} tenant={query.tenant} />
        </Card>
        <div class="stack">
          <Card
            title="Bookings"
            aside={
              <a class="quiet" href={href('/bookings', { tenant: query.tenant, when: 'all' })}>
                All bookings
              </a>
            }
          >
            <Facts
              rows={[
                ['Take place', count(bookings.active)],
                ['Cancelled', count(bookings.cancelled)],
                ['Made', count(bookings.made)],
                ['Reminders sent', count(bookings.remindersSent)],
              ]}
            />
          </Card>
          <Card title="Response time">
            <Facts
              rows={[
                ['Average', lasting(responseTime.averageMs)],
                ['Median', lasting(responseTime.medianMs)],
                ['p95', lasting(responseTime.p95Ms)],
              ]}
            />
          </Card>
        </div>
      </div>
      <Card title="Busiest hours" aside={<span class="dim">{report.timeZone}</span>}>
        <Hours report={report} />
      </Card>
    </>
  );
}

/** One figure of the row on top; `to` is the list of what it counts. */
function Figure({ label, value, more, to }: { label: string; value: string; more: string; to: string | null }) {
  const inside = (
    <>
      <span class="label">{label}</span>
      <span class="value">{value}</span>
      <span class="more">{more}</span>
    </>
  );
  if (to === null) return <div class="figure">{inside}</div>;
  return (
    <a class="figure" href={to}>
      {inside}
    </a>
  );
}

function Facts({ rows }: { rows: readonly (readonly [name: string, value: string])[] }) {
  return (
    <dl class="facts">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd class="num">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function States({ report, span }: { report: StatsReport; span: Record<string, string> }) {
  const rows = Object.entries(report.messages.byStatus)
    .flatMap(([status, messages]) => (messages === 0 ? [] : [{ status, messages }]))
    .sort((a, b) => b.messages - a.messages);
  const largest = Math.max(1, ...rows.map(({ messages }) => messages));
  if (rows.length === 0) return <Empty>Nothing.</Empty>;
  return (
    <ul class="holds">
      {rows.map(({ status, messages }) => (
        <li key={status}>
          <a href={href('/messages', { ...span, status })}>
            <span class="name">{STATUS_WORDS[status] ?? status}</span>
            <Bar value={messages} of={largest} tone={`b-${status}`} />
            <span class="num">{count(messages)}</span>
          </a>
        </li>
      ))}
    </ul>
  );
}

function Reasons({ report, tenant }: { report: StatsReport; tenant: string }) {
  if (report.failures.length === 0) return <Empty>Nothing failed.</Empty>;
  return (
    <ul class="holds">
      {report.failures.slice(0, 10).map(({ code, providerCode, messages, share }) => (
        <li key={`${code} ${providerCode ?? ''}`}>
          <a href={href('/failures', { tenant, code: providerCode ?? code })} title={code}>
            <span class="name mono">{providerCode ?? code}</span>
            <Bar value={share} of={1} tone="b-failed" />
            <span class="num">
              {count(messages)} <span class="dim">{percent(share)}</span>
            </span>
          </a>
        </li>
      ))}
    </ul>
  );
}

function Hours({ report }: { report: StatsReport }) {
  if (report.busiestHours.length === 0) return <Empty>Nothing was sent or received.</Empty>;
  const known = new Map(report.busiestHours.map((one) => [one.hour, one]));
  const columns = Array.from({ length: 24 }, (_, hour): Column => {
    const { sent = 0, received = 0 } = known.get(hour) ?? {};
    return {
      key: String(hour),
      label: hour % (labelsMax() > 5 ? 3 : 6) === 0 ? `${hour}:00` : '',
      title: `${hour}:00 – ${hour + 1}:00\nSent ${count(sent)}\nReceived ${count(received)}`,
      parts: [
        { tone: 'delivered', value: sent },
        { tone: 'received', value: received },
      ],
    };
  });
  const [busiest] = report.busiestHours;
  return (
    <>
      <p class="dim">
        Sent <span class="dot c-delivered" aria-hidden="true" /> and received{' '}
        <span class="dot c-received" aria-hidden="true" />.
        {busiest !== undefined &&
          ` The busiest is ${busiest.hour}:00 to ${busiest.hour + 1}:00 with ${count(busiest.sent)} sent and ${count(busiest.received)} received.`}
      </p>
      <Columns columns={columns} />
    </>
  );
}

import type { LiveSnapshot } from '../../../../src/observe/live/types.ts';
import { Chart } from '../chart.tsx';
import { count, duration, HOLD_WORDS, holdName, perSecond, time } from '../format.ts';
import { link, skewMs, snapshot } from '../live.ts';
import { href } from '../router.ts';
import { SenderTable } from '../sender-table.tsx';
import { Bar, Card, Empty, Table } from '../ui.tsx';

const serverNow = () => Date.now() - skewMs.value;

export function Overview() {
  const now = snapshot.value;
  if (now === null) {
    return (
      <>
        <h1 tabIndex={-1}>Overview</h1>
        <p class="dim">{link.value === 'lost' ? 'The server cannot be reached.' : 'Reading the figures …'}</p>
      </>
    );
  }
  return (
    <>
      <h1 tabIndex={-1} class="hidden">
        Overview
      </h1>
      <Answer now={now} />
      <Alerts now={now} />
      <Rates now={now} />
      <div class="grid">
        <Card title="Messages per second" wide>
          <Chart />
        </Card>
        <Backlog now={now} />
        <Speed now={now} />
      </div>
      <Senders now={now} />
      <div class="grid even">
        <TopTenants now={now} />
        <Machinery now={now} />
      </div>
    </>
  );
}

function Answer({ now }: { now: LiveSnapshot }) {
  const { state, sentence, reason, sinceMs } = now.verdict;
  return (
    <section class={`answer a-${state}`} aria-label="Is it flowing">
      <span class="lamp" aria-hidden="true" />
      <div>
        <p class="sentence" role="status">
          {sentence}
        </p>
        {reason !== null && <p class="why">{reason}</p>}
      </div>
      <p class="since">
        since <time dateTime={new Date(sinceMs).toISOString()}>{time(sinceMs + skewMs.value)}</time>
        <span class="dim"> ({duration(Math.max(0, serverNow() - sinceMs))})</span>
      </p>
    </section>
  );
}

function Alerts({ now }: { now: LiveSnapshot }) {
  if (now.alerts.length === 0 && now.unknown.length === 0) return null;
  return (
    <ul class="alerts" aria-label="Alerts">
      {now.unknown.map((part) => (
        <li key={part} class="warning">
          <strong>Not known now: {part}.</strong> Its figures are missing or old until it answers again.
        </li>
      ))}
      {now.alerts.map((alert) => (
        <li key={`${alert.alert} ${alert.instance ?? ''}`} class={alert.severity}>
          <strong>
            {alert.severity === 'critical' ? 'Critical: ' : 'Warning: '}
            {alert.sentence}
            {alert.instance === null ? '' : ` (${alert.instance})`}
          </strong>{' '}
          {alert.advice} {/dead/.test(alert.alert) && <a href={href('/failures')}>See the failures.</a>}{' '}
          <span class="dim">Since {time(alert.sinceMs)}.</span>
        </li>
      ))}
    </ul>
  );
}

function Rates({ now }: { now: LiveSnapshot }) {
  const { perSecond: rates, totals } = now;
  const figures = [
    ['accepted', 'Accepted', rates.accepted, `${count(totals.accepted)} in all`, href('/messages')],
    ['sent', 'Sent', rates.sent, `${count(totals.sent)} in all`, href('/messages', { status: 'sent' })],
    ['delivered', 'Delivered', rates.delivered, 'told by the provider', href('/messages', { status: 'delivered' })],
    [
      'failed',
      'Failed',
      rates.failed,
      now.failures === null ? '…' : `${count(now.failures.deadLetters)} dead letters`,
      href('/failures'),
    ],
  ] as const;
  return (
    <div class="figures">
      {figures.map(([name, label, rate, more, to]) => (
        <a key={name} class={`figure f-${name}`} href={to} id={`figure-${name}`}>
          <span class="label">{label}</span>
          <span class="value">
            {perSecond(rate)}
            <small>/s</small>
          </span>
          <span class="more">{more}</span>
        </a>
      ))}
    </div>
  );
}

/** Where the messages behind a hold are. */
export function behind(hold: string, more: Record<string, string> = {}): string {
  if (hold === 'ready') return href('/messages', { ...more, status: 'queued', order: 'oldest' });
  if (hold === 'deferred') return href('/messages', { ...more, status: 'deferred' });
  if (hold === 'unknown' || hold === 'held') return href('/messages', { ...more, status: 'unknown' });
  if (hold === 'scheduled') return href('/messages', { ...more, status: 'scheduled' });
  return href('/messages', { ...more, hold });
}

function Backlog({ now }: { now: LiveSnapshot }) {
  const { waiting, inFlight, holds } = now.backlog;
  const rows = Object.entries(holds).sort(([, a], [, b]) => b - a);
  const largest = Math.max(1, ...rows.map(([, held]) => held));
  return (
    <Card
      title="Backlog"
      aside={
        <a class="quiet" href={href('/messages', { status: 'queued', order: 'oldest' })} id="backlog-total">
          {count(waiting)} waiting
        </a>
      }
    >
      {rows.length === 0 ? (
        <Empty>Nothing waits.</Empty>
      ) : (
        <ul class="holds">
          {rows.map(([hold, held]) => (
            <li key={hold}>
              <a href={behind(hold)} title={HOLD_WORDS[hold]?.[1]}>
                <span class="name">{holdName(hold)}</span>
                <Bar value={held} of={largest} tone={`h-${hold}`} />
                <span class="num">{count(held)}</span>
              </a>
            </li>
          ))}
        </ul>
      )}
      <p class="foot">
        <a href={href('/messages', { status: 'queued' })}>{count(inFlight)} in flight</a> · {count(now.workers)}{' '}
        {now.workers === 1 ? 'worker' : 'workers'}
      </p>
    </Card>
  );
}

function Speed({ now }: { now: LiveSnapshot }) {
  const { oldest, latency } = now;
  const ageMs = oldest === null ? 0 : Math.max(0, serverNow() - oldest.createdAtMs);
  return (
    <Card title="Time">
      <div class="oldest">
        <span class="label">Longest waiting message</span>
        {oldest === null ? (
          <span class="value">none</span>
        ) : (
          <a href={href(`/messages/${oldest.id}`)} class="value" id="oldest">
            {duration(ageMs)}
          </a>
        )}
        {oldest !== null && <span class="dim">{oldest.tenant}</span>}
      </div>
      {latency === null ? (
        <Empty>No attempts yet.</Empty>
      ) : (
        <table class="small">
          <caption>Of the newest {count(latency.attempts)} attempts</caption>
          <thead>
            <tr>
              <td />
              <th scope="col">p50</th>
              <th scope="col">p95</th>
              <th scope="col">p99</th>
            </tr>
          </thead>
          <tbody>
            {(
              [
                ['Until sending', latency.waiting],
                ['Provider call', latency.call],
              ] as const
            ).map(([name, { p50, p95, p99 }]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>{duration(p50)}</td>
                <td>{duration(p95)}</td>
                <td>{duration(p99)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Card>
  );
}

function Senders({ now }: { now: LiveSnapshot }) {
  const more = now.sendersTotal - now.senders.length;
  return (
    <Card
      title="Senders"
      aside={
        <a class="quiet" href={href('/senders')}>
          All senders
        </a>
      }
    >
      {now.senders.length === 0 ? <Empty>No sender yet.</Empty> : <SenderTable senders={now.senders} />}
      {more > 0 && (
        <p class="foot">
          <a href={href('/senders')}>{count(more)} more</a>, less busy
        </p>
      )}
    </Card>
  );
}

function TopTenants({ now }: { now: LiveSnapshot }) {
  const total = Math.max(1, now.backlog.waiting);
  return (
    <Card
      title="Tenants"
      aside={
        <a class="quiet" href={href('/tenants')}>
          All tenants
        </a>
      }
    >
      {now.tenants.length === 0 ? (
        <Empty>No tenant has messages in the queue.</Empty>
      ) : (
        <Table label="Tenants with the most waiting" head={['Tenant', '#Waiting', 'Share', 'In flight', '#Lag']}>
          {now.tenants.map((tenant) => (
            <tr key={tenant.id}>
              <th scope="row">
                <a href={href('/messages', { tenant: tenant.id })}>{tenant.id}</a>
                {tenant.isPaused && <span class="tag t-paused">Paused</span>}
              </th>
              <td class="num">
                <a href={href('/messages', { tenant: tenant.id, status: 'queued', order: 'oldest' })}>
                  {count(tenant.waiting)}
                </a>
              </td>
              <td>
                <Bar value={tenant.waiting} of={total} />
              </td>
              <td>
                {count(tenant.inFlight)} of {count(tenant.concurrency)}
              </td>
              <td class="num">
                {tenant.oldestAtMs === null ? '–' : duration(Math.max(0, serverNow() - tenant.oldestAtMs))}
              </td>
            </tr>
          ))}
        </Table>
      )}
      <p class="foot">{count(now.tenantsActive)} with messages in the queue</p>
    </Card>
  );
}

function Machinery({ now }: { now: LiveSnapshot }) {
  // Those that nobody has read yet say nothing.
  const caches = now.caches.filter(({ reads }) => reads > 0);
  return (
    <Card
      title="Jobs and caches"
      aside={
        <a class="quiet" href="/admin/queues" target="_self">
          Job board
        </a>
      }
    >
      <Table label="Job queues" head={['Queue', '#Waiting', '#Active', '#Delayed', '#Failed']}>
        {now.queues.map((queue) => (
          <tr key={queue.queue}>
            <th scope="row">
              <a href="/admin/queues" target="_self">
                {queue.queue}
              </a>
              {queue.isPaused && <span class="tag t-paused">Paused</span>}
            </th>
            <td class="num">{count(queue.waiting)}</td>
            <td class="num">{count(queue.active)}</td>
            <td class="num">{count(queue.delayed)}</td>
            <td class={queue.failed > 0 ? 'num bad' : 'num'}>{count(queue.failed)}</td>
          </tr>
        ))}
      </Table>
      {caches.length > 0 && (
        <Table label="Caches" head={['Cache', '#Reads', '#Hits']}>
          {caches.map((cache) => (
            <tr key={cache.cache}>
              <th scope="row">
                {cache.cache}
                {cache.isSpike && <span class="tag t-circuit">Many misses</span>}
              </th>
              <td class="num">{count(cache.reads)}</td>
              <td class="num">{cache.hitShare === null ? '–' : `${Math.round(cache.hitShare * 100)} %`}</td>
            </tr>
          ))}
        </Table>
      )}
    </Card>
  );
}

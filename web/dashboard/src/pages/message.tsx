import { call, may, useGet, me } from '../api.ts';
import { wordsOf } from '../content.tsx';
import { count, duration, HOLD_WORDS, holdName, time, withTimes } from '../format.ts';
import { href } from '../router.ts';
import { ask, Card, Empty, Heading, Status, Table, Trouble } from '../ui.tsx';
import { Bubbles } from './conversation.tsx';

interface Explanation {
  readonly sentence: string;
  /** What ends the hold, as a clause. */
  readonly endsWhen: string | null;
  /** From 1. */
  readonly position: number | null;
  readonly ahead: { readonly conversation: number; readonly tenant: number; readonly sender: number };
  readonly expectedAt: string | null;
}

interface Detail {
  readonly message: {
    readonly id: string;
    readonly tenant: string;
    readonly sender: string;
    readonly conversation: string;
    readonly to: string | null;
    readonly recipient?: string;
    readonly type: string;
    readonly status: string;
    readonly priority: number;
    readonly attempts: number;
    readonly providerMessageId: string | null;
    readonly hold: { readonly kind: string; readonly until: string | null } | null;
    readonly error: {
      readonly code: string;
      readonly providerCode: string | null;
      readonly title: string;
      readonly detail: string;
    } | null;
    readonly createdAt: string;
    readonly sendAt: string | null;
    readonly expiresAt: string | null;
    readonly [content: string]: unknown;
  };
  readonly timeline: readonly {
    readonly at: string;
    readonly event: string;
    readonly detail: Record<string, unknown>;
  }[];
  readonly attempts: readonly {
    readonly attempt: number;
    readonly worker: string;
    readonly startedAtMs: number;
    readonly endedAtMs: number;
    readonly outcome: string;
    readonly httpStatus?: number;
    readonly error: { readonly code?: string; readonly providerCode?: string | null; readonly title?: string } | null;
  }[];
  readonly explanation?: Explanation | null;
}

export function Message({ id }: { id: string }) {
  const { data, error } = useGet<Detail>(`/dashboard/api/messages/${encodeURIComponent(id)}`, 2000);
  if (data === null) {
    return (
      <>
        <Heading>Message</Heading>
        <Trouble error={error} />
      </>
    );
  }
  const { message, timeline, attempts } = data;
  return (
    <>
      <Heading aside={<Status status={message.status} />}>Message</Heading>
      <Trouble error={error} />
      <Why message={message} explanation={data.explanation ?? null} />
      <div class="grid even">
        <div class="stack">
          <Facts message={message} />
          <Timeline items={timeline} />
          {attempts.length > 0 && <Attempts attempts={attempts} />}
        </div>
        <Card
          title="Conversation"
          aside={
            <a class="quiet" href={href(`/messages/${id}/conversation`)}>
              Open
            </a>
          }
        >
          <Bubbles id={id} />
        </Card>
      </div>
    </>
  );
}

/** One plain sentence: what is the matter with it, and what ends that. */
function Why({ message, explanation }: { message: Detail['message']; explanation: Explanation | null }) {
  const { hold, error, status } = message;
  const isDead = status === 'failed' || status === 'unknown';
  const until = hold?.until == null ? '' : ` Until ${time(hold.until)}.`;
  const held = hold === null ? null : `${holdName(hold.kind)}: ${HOLD_WORDS[hold.kind]?.[1] ?? ''}${until}`;
  const failed = error === null ? null : `${error.providerCode ?? error.code}: ${error.title}. ${error.detail}`;
  const sentence = explanation === null ? (held ?? failed) : withTimes(explanation.sentence);
  const more = failed ?? held;
  const isDone = ['sent', 'delivered', 'read'].includes(status);
  if (sentence === null && !isDead) return null;
  return (
    <section class={`answer ${isDead ? 'a-stuck' : isDone ? 'a-flowing' : 'a-held'}`} aria-label="Why">
      <span class="lamp" aria-hidden="true" />
      <div>
        <p class="sentence">{sentence ?? 'Its outcome is not known.'}</p>
        {more !== null && more !== sentence && <p class="why">{more}</p>}
        {explanation !== null && hold !== null && <Ahead explanation={explanation} />}
      </div>
      {isDead && may('operator') && (
        <button type="button" class="go" onClick={() => redriveOne(message.id)}>
          Redrive
        </button>
      )}
    </section>
  );
}

/** What stands before it, and when its turn will probably come. */
function Ahead({ explanation }: { explanation: Explanation }) {
  const { ahead, endsWhen, expectedAt } = explanation;
  const before = [
    [ahead.conversation, 'of its conversation'],
    [ahead.tenant, 'of its tenant'],
    [ahead.sender, 'of other tenants of its sender'],
  ] as const;
  const named = before.filter(([messages]) => messages > 0).map(([messages, of]) => `${count(messages)} ${of}`);
  const facts = [
    endsWhen === null ? null : `It ends when ${endsWhen}.`,
    named.length === 0 ? 'Nothing stands before it.' : `Before it: ${named.join(', ')}.`,
    expectedAt === null ? null : `Expected at ${time(expectedAt)}.`,
  ];
  return <p class="why">{facts.filter((one) => one !== null).join(' ')}</p>;
}

interface Report {
  readonly sentence: string;
}

function redriveOne(id: string): void {
  ask({
    title: 'Send this message again?',
    text: 'A new attempt of the same message, at the pace of all others. If it reached the person after all, it arrives twice.',
    confirm: 'Redrive',
    act: async () => (await call<Report>('POST', '/admin/dead-letters/redrive', { ids: [id] })).sentence,
  });
}

function Facts({ message }: { message: Detail['message'] }) {
  const rows: readonly (readonly [string, unknown])[] = [
    ['Tenant', <a href={href('/messages', { tenant: message.tenant })}>{message.tenant}</a>],
    ['Sender', <a href={href('/messages', { sender: message.sender })}>{message.sender}</a>],
    ['To', <span class="mono">{message.to ?? message.recipient ?? '–'}</span>],
    ['What', `${message.type}: ${wordsOf(message.type, message[message.type])}`],
    ['Accepted', time(message.createdAt)],
    ['Send at', message.sendAt === null ? null : time(message.sendAt)],
    ['Expires', message.expiresAt === null ? null : time(message.expiresAt)],
    ['Priority', message.priority],
    ['Attempts', message.attempts],
    ['Id', <span class="mono wrap">{message.id}</span>],
    [
      'At the provider',
      message.providerMessageId === null ? null : <span class="mono wrap">{message.providerMessageId}</span>,
    ],
  ];
  return (
    <Card title="Facts">
      <dl class="facts">
        {rows
          .filter(([, value]) => value !== null)
          .map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value as string}</dd>
            </div>
          ))}
      </dl>
      {me.value?.role === 'admin' && !me.value.revealed && (
        <p class="foot">Texts and numbers are masked: “Show texts” at the top shows them to you.</p>
      )}
    </Card>
  );
}

const EVENT_WORDS: Readonly<Record<string, string>> = {
  accepted: 'Accepted',
  begun: 'Attempt began',
  sent: 'Sent',
  delivered: 'Delivered',
  read: 'Read',
  failed: 'Failed',
  retry: 'Tried again soon',
  deferred: 'Waits for a slow retry',
  unknown: 'Outcome unknown',
  cancelled: 'Cancelled',
  expired: 'Expired',
  redriven: 'Redriven',
};

function Timeline({ items }: { items: Detail['timeline'] }) {
  return (
    <Card title="Timeline">
      {items.length === 0 ? (
        <Empty>Nothing recorded yet.</Empty>
      ) : (
        <ol class="timeline">
          {items.map((item, index) => {
            const before = items[index - 1];
            const sinceMs = before === undefined ? null : Date.parse(item.at) - Date.parse(before.at);
            const error = item.detail['error'] as { title?: string; providerCode?: string } | null | undefined;
            return (
              <li key={`${item.at} ${item.event} ${index}`} class={`e-${item.event}`}>
                <span class="event">{EVENT_WORDS[item.event] ?? item.event}</span>
                <time dateTime={item.at}>{time(item.at)}</time>
                <span class="sub">
                  {[
                    sinceMs === null || sinceMs < 0 ? null : `+ ${duration(sinceMs)}`,
                    item.detail['source'] === 'provider' ? 'told by the provider' : null,
                    error?.title === undefined ? null : `${error.providerCode ?? ''} ${error.title}`.trim(),
                  ]
                    .filter((one) => one !== null)
                    .join(' · ')}
                </span>
              </li>
            );
          })}
        </ol>
      )}
    </Card>
  );
}

function Attempts({ attempts }: { attempts: Detail['attempts'] }) {
  return (
    <Card title="Attempts">
      <Table label="Attempts" head={['#', 'When', '#Took', 'Outcome', 'Worker']}>
        {attempts.map((one) => (
          <tr key={one.attempt}>
            <td class="num">{one.attempt}</td>
            <td>{time(one.startedAtMs)}</td>
            <td class="num">{duration(one.endedAtMs - one.startedAtMs)}</td>
            <td>
              {one.outcome}
              {one.httpStatus !== undefined && <span class="dim"> HTTP {one.httpStatus}</span>}
              {one.error !== null && (
                <span class="sub bad">
                  {one.error.providerCode ?? one.error.code} {one.error.title}
                </span>
              )}
            </td>
            <td class="mono">{one.worker}</td>
          </tr>
        ))}
      </Table>
    </Card>
  );
}

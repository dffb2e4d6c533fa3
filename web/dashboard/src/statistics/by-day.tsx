import { type Column, Columns, labelsMax } from '../columns.tsx';
import { count } from '../format.ts';
import { Empty, Table } from '../ui.tsx';
import type { MessageStatus } from '../../../../src/model/message.ts';
import type { StatsReport } from '../../../../src/stats/report.ts';

const DAY_MS = 86_400_000;

/** The states, gathered into what fits a chart. */
const GROUPS = [
  ['read', 'Read', ['read']],
  ['delivered', 'Delivered', ['delivered']],
  ['sent', 'Sent', ['sent']],
  ['failed', 'Failed', ['failed', 'unknown', 'expired']],
  ['open', 'Open or cancelled', ['queued', 'sending', 'scheduled', 'deferred', 'cancelled']],
] as const;
const grouped = (byStatus: Partial<Record<MessageStatus, number>>, states: readonly MessageStatus[]) =>
  states.reduce((sum, state) => sum + (byStatus[state] ?? 0), 0);

export function Legend() {
  return (
    <ul class="legend">
      {GROUPS.map(([tone, word]) => (
        <li key={tone}>
          <span class={`c-${tone}`} aria-hidden="true" />
          {word}
        </li>
      ))}
    </ul>
  );
}

/** Up to so many columns stand side by side; a longer time is shown by weeks. */
const COLUMNS_MAX = 95;

export function ByDay({ report }: { report: StatsReport }) {
  const { byDay } = report.messages;
  if (byDay.length === 0) return <Empty>No messages in this time.</Empty>;
  const known = new Map(byDay.map((one) => [one.day, one]));
  const names = daysOf(report);
  const step = names.length > COLUMNS_MAX ? 7 : 1;
  const pieces = Array.from({ length: Math.ceil(names.length / step) }, (_, n) =>
    names.slice(n * step, (n + 1) * step),
  );
  const every = Math.ceil(pieces.length / labelsMax());
  const short = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', timeZone: 'UTC' });
  const columns = pieces.map((piece, n): Column => {
    const found = piece.flatMap((day) => known.get(day) ?? []);
    const parts = GROUPS.map(([tone, word, states]) => {
      return { tone, word, value: found.reduce((sum, { byStatus }) => sum + grouped(byStatus, states), 0) };
    });
    const first = short.format(new Date(`${piece[0] ?? ''}T00:00:00Z`));
    const told = parts.filter(({ value }) => value > 0).map(({ word, value }) => `${word} ${count(value)}`);
    const total = found.reduce((sum, one) => sum + one.total, 0);
    const name = step === 1 ? first : `Week from ${first}`;
    const title = [`${name}: ${count(total)}`, ...told].join('\n');
    return { key: piece[0] ?? '', label: n % every === 0 ? first : '', title, parts };
  });
  return (
    <>
      <Columns columns={columns} />
      <details class="foot">
        <summary>As a table</summary>
        <Table
          label="Messages by day"
          head={['Day', '#Messages', ...GROUPS.map(([, word]) => `#${word}`), '#Received']}
        >
          {[...byDay].reverse().map((one) => (
            <tr key={one.day}>
              <th scope="row">{one.day}</th>
              <td class="num">{count(one.total)}</td>
              {GROUPS.map(([tone, , states]) => (
                <td key={tone} class="num">
                  {count(grouped(one.byStatus, states))}
                </td>
              ))}
              <td class="num">{count(one.received)}</td>
            </tr>
          ))}
        </Table>
      </details>
    </>
  );
}

/** Every day of the report on its clock, with or without messages; none of the future. */
function daysOf({ from, to, timeZone }: StatsReport): string[] {
  const format = new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' });
  const endMs = Math.min(Date.parse(to) - 1, Date.now());
  const last = format.format(endMs);
  const days: string[] = [];
  // Dates are counted on as such: a day of the clock may have 23 or 25 hours.
  for (let at = Date.parse(`${format.format(new Date(from))}T00:00:00Z`); days.at(-1) !== last; at += DAY_MS) {
    days.push(new Date(at).toISOString().slice(0, 10));
    if (days.length > 370) break;
  }
  return days;
}

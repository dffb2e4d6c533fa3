import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { asApiError, call, may, me, useGet } from '../api.ts';
import { count, time } from '../format.ts';
import { go, href, place } from '../router.ts';
import { Choice, Day, Field, TenantField } from '../filters.tsx';
import { ask, Card, Empty, Heading, Pages, say, Table, Trouble } from '../ui.tsx';

interface Letter {
  readonly id: string;
  readonly tenant: string;
  readonly sender: string;
  readonly code: string;
  readonly held: boolean;
  readonly deadAt: string;
}

interface Failure {
  readonly id: string;
  readonly phoneNumber: string;
  readonly errorCode: string | null;
  readonly errorMessage: string | null;
  readonly attemptCount: number;
  readonly status: string;
  readonly nextRetryAt: string | null;
  readonly createdAt: string;
}

interface Summary {
  readonly pending: number;
  readonly resolved: number;
  readonly failed: number;
  readonly overdueStatuses: number;
  readonly codes: readonly { readonly code: string; readonly status: string; readonly count: number }[];
}

interface Report {
  readonly matched: number;
  readonly affected: number;
  readonly skipped: number;
  readonly more: boolean;
  readonly sentence: string;
  readonly items: readonly { readonly id: string; readonly result: string; readonly sentence: string | null }[];
}

interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}

const chosen = signal<ReadonlySet<string>>(new Set());
/** What a redrive would do, as last asked. */
const trial = signal<Report | null>(null);

export function Failures() {
  const params = place.value.searchParams;
  const query = {
    tenant: params.get('tenant') ?? '',
    sender: params.get('sender') ?? '',
    code: params.get('code') ?? '',
    from: params.get('from') ?? '',
    to: params.get('to') ?? '',
    cursor: params.get('cursor') ?? '',
  };
  const { cursor, ...filter } = query;
  const search = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== ''));
  const letters = useGet<Page<Letter>>(`/admin/dead-letters?${search.toString()}`, cursor === '' ? 3000 : undefined);
  const summary = useGet<Summary>('/admin/failures/summary', 5000);
  useEffect(() => {
    chosen.value = new Set();
    trial.value = null;
  }, [search.toString()]);
  const change = (name: string, value: string) => go(href('/failures', { ...filter, [name]: value }), true);
  const codes = [...new Set([...(summary.data?.codes ?? []).map(({ code }) => code), query.code])].filter(Boolean);
  return (
    <>
      <Heading>Failures</Heading>
      {summary.data !== null && <Counts summary={summary.data} />}
      <form class="filters" role="search" aria-label="Filter dead letters" onSubmit={(event) => event.preventDefault()}>
        <TenantField value={query.tenant} onChange={(value) => change('tenant', value)} />
        <Field label="Sender" value={query.sender} onChange={(value) => change('sender', value)} />
        <Choice
          label="Code"
          value={query.code}
          options={codes.map((code) => [code, code])}
          onChange={(value) => change('code', value)}
        />
        <Day label="From" value={query.from} onChange={(value) => change('from', value)} />
        <Day label="To" value={query.to} isEnd onChange={(value) => change('to', value)} />
      </form>
      <Trouble error={letters.error} />
      <Letters page={letters.data} filter={filter} />
      <Pages path="/failures" query={query} next={letters.data?.next ?? null} />
      <Retrying />
    </>
  );
}

function Counts({ summary }: { summary: Summary }) {
  const figures = [
    ['Retried later', summary.pending],
    ['Resolved', summary.resolved],
    ['Failed for good', summary.failed],
    ['Without a status', summary.overdueStatuses],
  ] as const;
  return (
    <div class="figures calm">
      {figures.map(([label, value]) => (
        <div key={label} class="figure">
          <span class="label">{label}</span>
          <span class="value">{count(value)}</span>
        </div>
      ))}
    </div>
  );
}

function Letters({ page, filter }: { page: Page<Letter> | null; filter: Record<string, string> }) {
  if (page === null) return null;
  const ids = [...chosen.value].filter((id) => page.items.some((letter) => letter.id === id));
  const toggle = (id: string, isChosen: boolean) => {
    const next = new Set(chosen.value);
    if (isChosen) next.add(id);
    else next.delete(id);
    chosen.value = next;
  };
  const set = Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== ''));
  const isClear = me.value?.revealed === true;
  const asked = isClear ? { ...set, reveal: 'true' } : set;
  const selection = ids.length > 0 ? { ids } : { filter: set };
  const which =
    ids.length > 0 ? `${ids.length} chosen` : Object.keys(set).length > 0 ? 'all that the filter finds' : 'all';
  return (
    <Card
      title="Dead letters"
      aside={
        may('operator') && page.items.length > 0 ? (
          <span class="buttons">
            <button type="button" class="plain" onClick={() => void dryRun(selection)}>
              Dry run
            </button>
            <button type="button" class="go" onClick={() => act('redrive', selection, which)}>
              Redrive {which}
            </button>
            <button type="button" class="plain" onClick={() => act('discard', selection, which)}>
              Discard
            </button>
          </span>
        ) : null
      }
    >
      {trial.value !== null && <Trial report={trial.value} />}
      {page.items.length === 0 ? (
        <Empty>No dead letters{Object.keys(set).length > 0 ? ' fit' : ': nothing waits for a person'}.</Empty>
      ) : (
        <Table stacks label="Dead letters" head={['', 'Since', 'Tenant', 'Sender', 'Code', 'What']}>
          {page.items.map((letter) => (
            <tr key={letter.id}>
              <td class="pick">
                {may('operator') && (
                  <input
                    type="checkbox"
                    checked={chosen.value.has(letter.id)}
                    aria-label={`Choose the message of ${time(letter.deadAt)}`}
                    onChange={(event) => toggle(letter.id, event.currentTarget.checked)}
                  />
                )}
              </td>
              <th scope="row">
                <a href={href(`/messages/${letter.id}`)}>{time(letter.deadAt)}</a>
              </th>
              <td>{letter.tenant}</td>
              <td>{letter.sender}</td>
              <td>
                <span class="mono">{letter.code}</span>
              </td>
              <td>
                <span class={`tag ${letter.held ? 's-unknown' : 's-failed'}`}>
                  {letter.held ? 'Outcome unknown' : 'Failed'}
                </span>
              </td>
            </tr>
          ))}
        </Table>
      )}
      <p class="foot">
        <a href={`/admin/dead-letters/export?${new URLSearchParams(asked).toString()}`} target="_self">
          Export as NDJSON
        </a>{' '}
        ({isClear ? 'with texts and numbers: the audit will say so' : 'texts and numbers masked'})
      </p>
    </Card>
  );
}

const ask1000 = (report: Report) => (report.more ? ' There are more than one call takes: do it again afterwards.' : '');

async function dryRun(selection: object): Promise<void> {
  try {
    const report = await call<Report>('POST', '/admin/dead-letters/redrive', { ...selection, dryRun: true });
    trial.value = report;
  } catch (error) {
    say(asApiError(error).message);
  }
}

/** What a redrive would do: how many would go, and why the others would stay. */
function Trial({ report }: { report: Report }) {
  const reasons = new Map<string, string[]>();
  for (const { id, sentence } of report.items) {
    if (sentence !== null) reasons.set(sentence, [...(reasons.get(sentence) ?? []), id]);
  }
  return (
    <div class="trial" role="status">
      <p>
        <strong>Dry run: {report.sentence}</strong>
        {ask1000(report)}
      </p>
      {[...reasons].map(([sentence, ids]) => (
        <p key={sentence} class="sub">
          {count(ids.length)} would stay: {sentence}{' '}
          {ids.slice(0, 3).map((id, n) => (
            <a key={id} href={href(`/messages/${id}`)} aria-label={`Message ${n + 1} of these`}>
              {n === 0 ? 'see' : `, ${n + 1}`}
            </a>
          ))}
        </p>
      ))}
      <button type="button" class="plain" onClick={() => (trial.value = null)}>
        Close
      </button>
    </div>
  );
}

function act(word: 'redrive' | 'discard', selection: object, which: string): void {
  const isRedrive = word === 'redrive';
  ask({
    title: isRedrive ? `Redrive: ${which}?` : `Discard: ${which}?`,
    text: isRedrive
      ? 'New attempts of the same messages, at the pace of all others. What has expired or left its 24-hour window stays here.'
      : 'They are given up for good. The record keeps them as failed.',
    confirm: isRedrive ? 'Redrive' : 'Discard',
    isDangerous: !isRedrive,
    act: async () => {
      const report = await call<Report>('POST', `/admin/dead-letters/${word}`, selection);
      chosen.value = new Set();
      trial.value = null;
      return report.sentence + ask1000(report);
    },
  });
}

function Retrying() {
  const { data, error } = useGet<Page<Failure>>('/dashboard/api/failures?status=PENDING&limit=20', 5000);
  if (data === null) return <Trouble error={error} />;
  return (
    <Card title="Retried later" aside={<span class="dim">the newest 20</span>}>
      {data.items.length === 0 ? (
        <Empty>Nothing waits for a slow retry.</Empty>
      ) : (
        <Table
          stacks
          label="Messages that are retried later"
          head={['Since', 'To', 'Code', 'Why', '#Attempts', 'Next try']}
        >
          {data.items.map((failure) => (
            <tr key={failure.id}>
              <th scope="row">
                <a href={href(`/messages/${failure.id}`)}>{time(failure.createdAt)}</a>
              </th>
              <td class="mono">{failure.phoneNumber}</td>
              <td class="mono">{failure.errorCode}</td>
              <td class="reason">{failure.errorMessage}</td>
              <td class="num">{failure.attemptCount}</td>
              <td>{failure.nextRetryAt === null ? '–' : time(failure.nextRetryAt)}</td>
            </tr>
          ))}
        </Table>
      )}
    </Card>
  );
}

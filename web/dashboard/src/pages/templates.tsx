import { signal } from '@preact/signals';
import { useState } from 'preact/hooks';
import type { LiveSender } from '../../../../src/observe/live/types.ts';
import { asApiError, call, may, useGet, version } from '../api.ts';
import { Choice, Field, TenantField } from '../filters.tsx';
import { time } from '../format.ts';
import { go, href, place } from '../router.ts';
import { Empty, Heading, Pages, say, Table, Trouble } from '../ui.tsx';

export interface Template {
  readonly id: string;
  readonly tenant: string | null;
  readonly key: string;
  readonly language: string;
  readonly provider: 'cloud' | 'twilio';
  readonly account: string;
  readonly sender: string | null;
  readonly name: string;
  readonly category: string;
  readonly body: string | null;
  readonly variables: readonly { readonly component: string; readonly name: string; readonly example: string | null }[];
  readonly status: string;
  readonly reason: string | null;
  readonly providerId: string | null;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly syncedAt: string | null;
}

interface Page {
  readonly items: readonly Template[];
  readonly next: string | null;
}

const STATES: Readonly<Record<string, readonly [word: string, tone: string]>> = {
  APPROVED: ['Approved', 't-sending'],
  PENDING: ['In review', 't-slowed'],
  RECEIVED: ['In review', 't-slowed'],
  IN_APPEAL: ['In appeal', 't-slowed'],
  DRAFT: ['Draft', 't-idle'],
  UNSUBMITTED: ['Not handed in', 't-idle'],
  FLAGGED: ['Flagged', 't-slowed'],
  PAUSED: ['Paused', 't-circuit'],
  DISABLED: ['Disabled', 't-circuit'],
  REJECTED: ['Rejected', 't-circuit'],
};
/** The same as in src/templates: messages made from these wait. */
const STOPPED = new Set(['PAUSED', 'DISABLED', 'REJECTED']);
export const isStopped = (template: Template) => STOPPED.has(template.status);
const words = (text: string) => text.charAt(0) + text.slice(1).toLowerCase().replaceAll('_', ' ');

export function TemplateState({ status }: { status: string }) {
  const [word, tone] = STATES[status] ?? [words(status), 't-idle'];
  return <span class={`tag ${tone}`}>{word}</span>;
}

const FIELDS = ['search', 'tenant', 'status', 'category', 'cursor'] as const;

export function Templates() {
  const params = place.value.searchParams;
  const query = Object.fromEntries(FIELDS.map((name) => [name, params.get(name) ?? ''])) as Record<
    (typeof FIELDS)[number],
    string
  >;
  const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== ''));
  const { data, error } = useGet<Page>(`/dashboard/api/templates?${asked.toString()}`, 5000);
  const change = (name: string, value: string) =>
    go(href('/templates', { ...query, cursor: null, [name]: value }), true);
  return (
    <>
      <Heading
        aside={
          may('admin') && (
            <a class="button" href={href('/templates/new')}>
              New template
            </a>
          )
        }
      >
        Templates
      </Heading>
      <form class="filters" role="search" aria-label="Filter templates" onSubmit={(event) => event.preventDefault()}>
        <Field label="Key or name" value={query.search} onChange={(value) => change('search', value)} />
        <TenantField value={query.tenant} onChange={(value) => change('tenant', value)} />
        <Choice
          label="State"
          value={query.status}
          options={['APPROVED', 'PENDING', 'PAUSED', 'DISABLED', 'REJECTED', 'DRAFT'].map((status) => [
            status,
            STATES[status]?.[0] ?? status,
          ])}
          onChange={(value) => change('status', value)}
        />
        <Choice
          label="Category"
          value={query.category}
          options={['UTILITY', 'MARKETING', 'AUTHENTICATION'].map((category) => [category, words(category)])}
          onChange={(value) => change('category', value)}
        />
        {may('operator') && <Sync />}
      </form>
      <Trouble error={error} />
      {data !== null && data.items.length === 0 && (
        <Empty>
          {asked.size > 0
            ? 'No template fits.'
            : 'No templates yet: take over those that the provider has, or make one.'}
        </Empty>
      )}
      {data !== null && data.items.length > 0 && (
        <Table
          stacks
          label="Templates"
          head={['Template', 'Language', 'Category', 'State', 'Text', 'At the provider', 'For']}
        >
          {data.items.map((template) => (
            <Row key={template.id} template={template} />
          ))}
        </Table>
      )}
      <Pages path="/templates" query={query} next={data?.next ?? null} />
    </>
  );
}

function Row({ template }: { template: Template }) {
  const { id, key, name, language, category, status, reason, body, provider, providerId, tenant } = template;
  return (
    <tr>
      <th scope="row">
        <a href={href(`/templates/${id}`)}>{key}</a>
        {name !== key && <span class="sub mono">{name}</span>}
      </th>
      <td>{language}</td>
      <td>{words(category)}</td>
      <td>
        <TemplateState status={status} />
        {reason !== null && <span class="sub wrap">{reason}</span>}
      </td>
      <td class="what">
        <span class="clip">{body ?? '–'}</span>
      </td>
      <td>
        {provider === 'cloud' ? 'Meta' : 'Twilio'}
        <span class="sub mono wrap">{providerId ?? 'not there'}</span>
      </td>
      <td>{tenant === null ? <span class="dim">all tenants</span> : tenant}</td>
    </tr>
  );
}

interface Synced {
  readonly found: number;
  readonly added: number;
  readonly changed: number;
}

const isSyncing = signal(false);

/** Takes over what the account of a sender has. */
function Sync() {
  const senders = useSenders();
  const [chosen, choose] = useState('');
  const sender = chosen === '' ? (senders[0]?.id ?? '') : chosen;
  if (senders.length === 0) return null;
  const sync = async () => {
    isSyncing.value = true;
    try {
      const { found, added, changed } = await call<Synced>('POST', '/dashboard/api/templates/sync', { sender });
      version.value += 1;
      say(`The account has ${found}: ${added} new here, ${changed} with another state.`);
    } catch (error) {
      say(asApiError(error).message);
    } finally {
      isSyncing.value = false;
    }
  };
  return (
    <span class="with">
      <Choice
        label="Account of"
        value={sender}
        any={null}
        options={senders.map(({ id, provider }) => [id, `${id} (${provider ?? '?'})`])}
        onChange={choose}
      />
      <button type="button" disabled={isSyncing.value} onClick={() => void sync()}>
        {isSyncing.value ? 'Asking …' : 'Take over states'}
      </button>
    </span>
  );
}

/** Senders whose provider has templates. */
export function useSenders(): readonly LiveSender[] {
  const { data } = useGet<{ readonly items: readonly LiveSender[] }>('/dashboard/api/senders');
  return (data?.items ?? []).filter(({ provider }) => provider === 'cloud' || provider === 'twilio');
}

export function sinceOf(template: Template): string {
  return template.syncedAt === null ? 'never' : time(template.syncedAt);
}

import type { ComponentChildren } from 'preact';
import { useGet } from './api.ts';
import { Choice, Field } from './filters.tsx';
import { count } from './format.ts';
import { go, href, place } from './router.ts';
import { Empty, Heading, NumberedPages, Trouble } from './ui.tsx';

interface Page<Item> {
  readonly items: readonly Item[];
  readonly total: number;
  readonly pageSize: number;
}

export interface NumberedListProps<Item> {
  /** Of the page and of its data: `/senders` is read from `/dashboard/api/senders`. */
  readonly path: string;
  readonly title: string;
  readonly searchLabel: string;
  /** What the list can be cut down to: [value of `only`, words]. */
  readonly choices: readonly (readonly [value: string, words: string])[];
  /** Said when nothing fits. */
  readonly none: string;
  readonly children: (items: readonly Item[]) => ComponentChildren;
}

/** A page that lists what the engine holds now, searched, cut down and in numbered pages, all kept in the address. */
export function NumberedList<Item>({ path, title, searchLabel, choices, none, children }: NumberedListProps<Item>) {
  const params = place.value.searchParams;
  const query = { search: params.get('search') ?? '', only: params.get('only') ?? '', page: params.get('page') ?? '' };
  const asked = new URLSearchParams({ search: query.search, page: query.page || '0', only: query.only || 'all' });
  const { data, error } = useGet<Page<Item>>(`/dashboard/api${path}?${asked.toString()}`, 1500);
  const show = (change: Partial<typeof query>) => go(href(path, { ...query, ...change, page: null }), true);
  return (
    <>
      <Heading aside={data !== null && <span class="dim">{count(data.total)}</span>}>{title}</Heading>
      <form
        class="filters"
        role="search"
        aria-label={`Filter ${title.toLowerCase()}`}
        onSubmit={(event) => event.preventDefault()}
      >
        <Field label={searchLabel} value={query.search} onChange={(search) => show({ search })} />
        <Choice label="Which" value={query.only} any="All" options={choices} onChange={(only) => show({ only })} />
      </form>
      <Trouble error={error} />
      {data !== null && (data.items.length === 0 ? <Empty>{none}</Empty> : children(data.items))}
      {data !== null && <NumberedPages path={path} query={query} total={data.total} pageSize={data.pageSize} />}
    </>
  );
}

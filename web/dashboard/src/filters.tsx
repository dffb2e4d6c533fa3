import { useEffect, useId, useState } from 'preact/hooks';
import { get } from './api.ts';

/** Fields above a list. They tell what they are set to when a person has finished: on Enter, or when the field is left. */

export function Field(props: {
  label: string;
  value: string;
  onChange: (value: string) => void;
  onInput?: (value: string) => void;
  list?: string;
}) {
  return (
    <label>
      {props.label}
      <input
        type="search"
        value={props.value}
        list={props.list}
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => props.onInput?.(event.currentTarget.value.trim())}
        onChange={(event) => props.onChange(event.currentTarget.value.trim())}
      />
    </label>
  );
}

interface Named {
  readonly items: readonly { readonly id: string; readonly name?: string }[];
}

/** Names of tenants are looked up while somebody types. */
export function TenantField(props: { label?: string; value: string; onChange: (value: string) => void }) {
  const list = useId();
  const [typed, setTyped] = useState<string | null>(null);
  const [found, setFound] = useState<Named['items']>([]);
  useEffect(() => {
    if (typed === null) return;
    const timer = setTimeout(() => {
      get<Named>(`/dashboard/api/tenants?search=${encodeURIComponent(typed)}`)
        .then(({ items }) => setFound(items.slice(0, 12)))
        // The field works without suggestions; the list below tells that the server is away.
        .catch(() => setFound([]));
    }, 150);
    return () => clearTimeout(timer);
  }, [typed]);
  return (
    <>
      <Field
        label={props.label ?? 'Tenant'}
        value={props.value}
        list={list}
        onInput={setTyped}
        onChange={props.onChange}
      />
      <datalist id={list}>
        {found.map(({ id, name }) => (
          <option key={id} value={id}>
            {name === id ? undefined : name}
          </option>
        ))}
      </datalist>
    </>
  );
}

export function Choice(props: {
  label: string;
  value: string;
  options: readonly (readonly [value: string, name: string])[];
  /** The word for no choice; null = one must be made. Default "Any". */
  any?: string | null;
  onChange: (value: string) => void;
}) {
  return (
    <label>
      {props.label}
      <select value={props.value} onChange={(event) => props.onChange(event.currentTarget.value)}>
        {props.any !== null && <option value="">{props.any ?? 'Any'}</option>}
        {props.options.map(([value, name]) => (
          <option key={value} value={value}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

const DAY_MS = 86_400_000;

/** A day on this machine's clock. Its value is a time, ISO 8601; `isEnd`: the end of the day, exclusive. */
export function Day(props: { label: string; value: string; isEnd?: boolean; onChange: (value: string) => void }) {
  const isEnd = props.isEnd === true;
  const change = (day: string) => {
    if (day === '') {
      props.onChange('');
      return;
    }
    const start = new Date(`${day}T00:00:00`);
    if (isEnd) start.setDate(start.getDate() + 1);
    props.onChange(start.toISOString());
  };
  return (
    <label>
      {props.label}
      <input type="date" value={dayOf(props.value, isEnd)} onChange={(event) => change(event.currentTarget.value)} />
    </label>
  );
}

/** `2026-02-28` of a time, on this machine's clock. */
function dayOf(value: string, isEnd: boolean): string {
  const atMs = Date.parse(value);
  if (Number.isNaN(atMs)) return '';
  const date = new Date(isEnd ? atMs - DAY_MS / 2 : atMs);
  const two = (part: number) => String(part).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

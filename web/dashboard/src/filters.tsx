import { useEffect, useId, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { get } from './api.ts';

/** Fields above a list. They tell what they are set to when a person has finished: on Enter, or when the field is left. */

/**
 * Writes the value into the field when it has become another one, and only then: given as an attribute it would be
 * written whenever the page is drawn anew, which is every second, over what a person is typing.
 */
function useWritten(value: string) {
  const input = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => {
    if (input.current !== null && input.current.value !== value) input.current.value = value;
  }, [value]);
  return input;
}

export function Field(props: {
  label: string;
  value: string;
  onChange: (value: string) => void;
  onInput?: (value: string) => void;
  list?: string;
}) {
  const input = useWritten(props.value);
  return (
    <label>
      {props.label}
      <input
        ref={input}
        type="search"
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
  const input = useWritten(dayOf(props.value, isEnd));
  return (
    <label>
      {props.label}
      <input ref={input} type="date" onChange={(event) => change(event.currentTarget.value)} />
    </label>
  );
}

/** `2026-02-28` of a time, on this machine's clock. */
function dayOf(value: string, isEnd: boolean): string {
  const atMs = Date.parse(value);
  if (Number.isNaN(atMs)) return '';
  const date = new Date(isEnd ? atMs - DAY_MS / 2 : atMs);
  const two = (part: number) => String(part).padStart(2, '0');
  // While somebody types a year it is one of the first thousand.
  return `${String(date.getFullYear()).padStart(4, '0')}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

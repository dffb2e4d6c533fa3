import { signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { asApiError, type ApiError, version } from './api.ts';
import { count, STATUS_WORDS } from './format.ts';
import { href } from './router.ts';

/** Parts that every page uses. */

export function Heading({ children, aside }: { children: ComponentChildren; aside?: ComponentChildren }) {
  return (
    <div class="heading">
      <h1 tabIndex={-1}>{children}</h1>
      {aside}
    </div>
  );
}

export function Card(props: { title: string; aside?: ComponentChildren; children: ComponentChildren; wide?: boolean }) {
  return (
    <section class={props.wide === true ? 'card wide' : 'card'} aria-label={props.title}>
      <header>
        <h2>{props.title}</h2>
        {props.aside}
      </header>
      {props.children}
    </section>
  );
}

export function Status({ status }: { status: string }) {
  return <span class={`tag s-${status}`}>{STATUS_WORDS[status] ?? status}</span>;
}

export function Trouble({ error }: { error: ApiError | null }) {
  if (error === null) return null;
  return (
    <p class="trouble" role="alert">
      {error.message}
    </p>
  );
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

/**
 * A table that scrolls sideways when it must; the region has a name, so that the keyboard can scroll it too.
 * @param props.stacks on a phone every row becomes a card, its cells one below the other under their names
 */
export function Table(props: {
  label: string;
  head: readonly string[];
  children: ComponentChildren;
  stacks?: boolean;
}) {
  const table = useRef<HTMLTableElement>(null);
  useLayoutEffect(() => {
    if (props.stacks !== true) return;
    const names = props.head.map((name) => name.replace(/^#/, ''));
    for (const row of table.current?.tBodies[0]?.rows ?? []) {
      [...row.cells].forEach((cell, n) => (cell.dataset['name'] = names[n] ?? ''));
    }
  });
  return (
    <div class={props.stacks === true ? 'scroll stacks' : 'scroll'} role="region" aria-label={props.label} tabIndex={0}>
      <table ref={table}>
        <thead>
          <tr>
            {props.head.map((name) => (
              <th scope="col" key={name} class={/^#/.test(name) ? 'num' : ''}>
                {name.replace(/^#/, '')}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{props.children}</tbody>
      </table>
    </div>
  );
}

/** To the next page of a list that goes on by cursors, and back to its beginning. */
export function Pages(props: {
  path: string;
  query: Readonly<Record<string, string>>;
  next: string | null;
  word?: string;
}) {
  const { path, query, next } = props;
  const isFirst = (query['cursor'] ?? '') === '';
  if (isFirst && next === null) return null;
  return (
    <nav class="pages" aria-label="Pages of the list">
      {!isFirst && <a href={href(path, { ...query, cursor: null })}>To the first page</a>}
      {next !== null && <a href={href(path, { ...query, cursor: next })}>{props.word ?? 'Next page'}</a>}
    </nav>
  );
}

/** The same for lists that go on by numbers. */
export function NumberedPages(props: {
  path: string;
  query: Readonly<Record<string, string>>;
  total: number;
  pageSize: number;
}) {
  const { path, query } = props;
  const pages = Math.ceil(props.total / props.pageSize);
  const page = Number(query['page'] ?? '');
  if (pages <= 1) return null;
  return (
    <nav class="pages" aria-label="Pages of the list">
      {page > 0 && <a href={href(path, { ...query, page: page - 1 })}>Previous</a>}
      <span>
        Page {count(page + 1)} of {count(pages)}
      </span>
      {page + 1 < pages && <a href={href(path, { ...query, page: page + 1 })}>Next page</a>}
    </nav>
  );
}

/** A bar of a share; the numbers stand beside it, so it is hidden from screen readers. */
export function Bar({ value, of, tone = 'brand' }: { value: number; of: number; tone?: string }) {
  const share = of <= 0 ? 0 : Math.min(1, value / of);
  return (
    <span class={`bar ${tone}`} aria-hidden="true">
      <span style={{ width: `${(share * 100).toFixed(1)}%` }} />
    </span>
  );
}

export interface Question {
  readonly title: string;
  readonly text: ComponentChildren;
  readonly confirm: string;
  readonly isDangerous?: boolean;
  /** Asks for a reason, which is handed on. */
  readonly reason?: string;
  readonly act: (reason: string) => Promise<string>;
}

const question = signal<Question | null>(null);
const isBusy = signal(false);
const failed = signal<ApiError | null>(null);
export const toast = signal<string | null>(null);

export function ask(one: Question): void {
  failed.value = null;
  question.value = one;
}

export function say(text: string): void {
  toast.value = text;
  window.setTimeout(() => {
    if (toast.value === text) toast.value = null;
  }, 6000);
}

/** The one confirm dialog of the page. */
export function Confirm() {
  const dialog = useRef<HTMLDialogElement>(null);
  const field = useRef<HTMLInputElement>(null);
  const open = question.value;
  useEffect(() => {
    if (open !== null) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  const act = async () => {
    if (open === null) return;
    isBusy.value = true;
    failed.value = null;
    try {
      const said = await open.act(field.current?.value.trim() ?? '');
      question.value = null;
      version.value += 1;
      say(said);
    } catch (error) {
      failed.value = asApiError(error);
    } finally {
      isBusy.value = false;
    }
  };
  return (
    <dialog ref={dialog} aria-labelledby="ask-title" onClose={() => (question.value = null)}>
      {open !== null && (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void act();
          }}
        >
          <h2 id="ask-title">{open.title}</h2>
          <div class="text">{open.text}</div>
          {open.reason !== undefined && (
            <label>
              Reason
              <input ref={field} maxLength={200} placeholder={open.reason} autocomplete="off" />
            </label>
          )}
          <Trouble error={failed.value} />
          <div class="end">
            <button type="button" class="plain" onClick={() => (question.value = null)}>
              Cancel
            </button>
            <button type="submit" class={open.isDangerous === true ? 'go danger' : 'go'} disabled={isBusy.value}>
              {isBusy.value ? 'One moment …' : open.confirm}
            </button>
          </div>
        </form>
      )}
    </dialog>
  );
}

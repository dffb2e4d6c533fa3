import { signal } from '@preact/signals';

/** Where the page is: the address without its origin. */
export const place = signal(new URL(location.href));

addEventListener('popstate', () => (place.value = new URL(location.href)));

/** Goes to a path below /dashboard. `replace` leaves no step to go back to. */
export function go(path: string, replace = false): void {
  if (replace) history.replaceState(null, '', path);
  else history.pushState(null, '', path);
  const before = place.value.pathname;
  place.value = new URL(location.href);
  if (replace || before === place.value.pathname) return;
  scrollTo(0, 0);
  // So that a screen reader and the keyboard begin at what is new.
  queueMicrotask(() => document.querySelector<HTMLElement>('main h1')?.focus());
}

/** Links of ours change the page without loading it anew. */
export function followLinks(): void {
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const link = (event.target as Element).closest('a');
    if (link === null || link.target !== '' || link.origin !== location.origin) return;
    if (!/^\/dashboard(\/|$)/.test(link.pathname)) return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
}

/** A path with the given query; what is empty is left out. */
export function href(path: string, query: Readonly<Record<string, string | number | null | undefined>> = {}): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== '') params.set(name, String(value));
  }
  const text = params.toString();
  return `/dashboard${path}${text === '' ? '' : `?${text}`}`;
}

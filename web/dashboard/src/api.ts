import { signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';

export interface Me {
  readonly name: string;
  readonly role: 'viewer' | 'operator' | 'admin';
  readonly revealed: boolean;
}

export const me = signal<Me | null>(null);
/** Counts up when what is shown must be read anew: texts were revealed, something was changed. */
export const version = signal(0);

export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, detail: string) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

/** One request. @throws ApiError with a sentence for the person */
export async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const init: RequestInit = { method };
  if (body !== undefined) {
    init.headers = { 'content-type': 'application/json' };
    init.body = JSON.stringify(body);
  }
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch {
    throw new ApiError(0, 'UNREACHABLE', 'The server cannot be reached. It is tried again.');
  }
  if (response.status === 401) {
    location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
    throw new ApiError(401, 'UNAUTHORIZED', 'Your session has ended. Sign in again.');
  }
  const answer: unknown = await response.json().catch(() => null);
  if (response.ok) return answer as T;
  const problem = (answer ?? {}) as { code?: string; detail?: string };
  throw new ApiError(
    response.status,
    problem.code ?? 'INTERNAL',
    problem.detail ?? `The server answered ${response.status}.`,
  );
}

export const get = <T>(path: string) => call<T>('GET', path);

export interface Loaded<T> {
  readonly data: T | null;
  readonly error: ApiError | null;
  readonly isLoading: boolean;
}

/**
 * Reads a path and again when it changes.
 * @param everyMs reads again after so long, while the page is seen; undefined = once
 */
export function useGet<T>(path: string | null, everyMs?: number): Loaded<T> {
  const [state, setState] = useState<Loaded<T> & { readonly path: string | null }>({
    ...{ data: null, error: null, isLoading: true, path },
  });
  const turn = version.value;
  useEffect(() => {
    if (path === null) return;
    let isOver = false;
    let timer: number | undefined;
    const read = async () => {
      try {
        const data = document.hidden && everyMs !== undefined ? undefined : await get<T>(path);
        if (!isOver && data !== undefined) setState({ data, error: null, isLoading: false, path });
      } catch (error) {
        if (!isOver) setState((old) => ({ ...old, error: asApiError(error), isLoading: false, path }));
      }
      if (!isOver && everyMs !== undefined) timer = window.setTimeout(() => void read(), everyMs);
    };
    setState((old) => ({ ...old, data: old.path === path ? old.data : null, isLoading: true, path }));
    void read();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [path, turn, everyMs]);
  return state;
}

export function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(0, 'INTERNAL', String(error));
}

export async function loadMe(): Promise<void> {
  me.value = await get<Me>('/dashboard/api/me');
}

const RANKS = { viewer: 0, operator: 1, admin: 2 };

export function may(role: Me['role']): boolean {
  return me.value !== null && RANKS[me.value.role] >= RANKS[role];
}

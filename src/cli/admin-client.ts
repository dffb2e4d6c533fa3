import { request } from 'undici';
import { resolveKeys } from '../config/index.ts';
import { signJwt } from '../http/index.ts';
import { jwtSettings } from '../program/web.ts';
import { CommandError, settings } from './settings.ts';

/** The administration routes of a running program, with a short token made from the same secret. */
export interface AdminClient {
  get(path: string, query?: Readonly<Record<string, string | undefined>>): Promise<unknown>;
  post(path: string, body: unknown): Promise<unknown>;
  /** The body as it comes, for exports. */
  stream(path: string, query?: Readonly<Record<string, string | undefined>>): Promise<AsyncIterable<Buffer>>;
}

/**
 * @param url address of the program; default from HOST and PORT
 * @param role what the token may; default operator
 * @throws CommandError in plain words
 */
export async function adminClient(
  url: string | undefined,
  role: 'operator' | 'admin' = 'operator',
): Promise<AdminClient> {
  const config = settings();
  const keys = await resolveKeys(config);
  const base = url ?? `http://${config.host}:${config.port}`;
  const token = await signJwt({ role, name: 'cli', lifetimeSeconds: 300 }, jwtSettings(config, keys));
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };

  async function call(
    method: 'GET' | 'POST',
    path: string,
    options: { readonly query?: Readonly<Record<string, string | undefined>>; readonly body?: unknown },
  ) {
    const address = new URL(path, base);
    for (const [name, value] of Object.entries(options.query ?? {})) {
      if (value !== undefined) address.searchParams.set(name, value);
    }
    let answer;
    try {
      const body = options.body === undefined ? null : JSON.stringify(options.body);
      answer = await request(address, { method, headers, body });
    } catch (error) {
      throw new CommandError(`No program answers at ${base}. Start one with: npm start`, { cause: error });
    }
    if (answer.statusCode < 300) return answer.body;
    const problem = (await answer.body.json().catch(() => ({}))) as { code?: string; detail?: string; field?: string };
    const field = problem.field === undefined ? '' : ` (field ${problem.field})`;
    throw new CommandError(`${problem.code ?? answer.statusCode}: ${problem.detail ?? 'refused'}${field}`);
  }

  return {
    get: async (path, query = {}) => await (await call('GET', path, { query })).json(),
    post: async (path, body) => await (await call('POST', path, { body })).json(),
    stream: async (path, query = {}) => await call('GET', path, { query }),
  };
}

import { resolveKeys } from '../config/index.ts';
import { signJwt } from '../http/index.ts';
import { jwtSettings } from '../program/web.ts';
import { addressOf, ask, type Asked, open } from './running.ts';
import { settings } from './settings.ts';

/** The administration routes of a running program, with a short token made from the same secret. */
export interface AdminClient {
  get(path: string, query?: Asked['query']): Promise<unknown>;
  post(path: string, body: unknown): Promise<unknown>;
  /** The body as it comes, for exports. */
  stream(path: string, query?: Asked['query']): Promise<AsyncIterable<Buffer>>;
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
  const address = addressOf(config, url);
  const keys = await resolveKeys(config);
  const credential = await signJwt({ role, name: 'cli', lifetimeSeconds: 300 }, jwtSettings(config, keys));
  const running = { url: address, credential };
  return {
    get: async (path, query = {}) => await ask(running, { path, query }),
    post: async (path, body) => await ask(running, { method: 'POST', path, body }),
    stream: async (path, query = {}) => await open(running, { path, query }),
  };
}

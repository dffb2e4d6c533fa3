import pino from 'pino';
import { loadConfig } from '../../src/config/index.ts';
import { signJwt } from '../../src/http/index.ts';
import { type Program, type Role, startProgram } from '../../src/program/start-program.ts';
import { dataFolder } from '../cli/harness.ts';

/** The number of the default sender. */
export const PHONE_NUMBER_ID = '100000000000001';

export type Settings = Record<string, string>;

interface Place {
  readonly redis: { readonly url: string };
  readonly database: { readonly url: string };
  readonly emulator: { readonly apiUrl: string };
}

/** Settings of a whole program on these servers that sends to this emulator as fast as it can. */
export function programSettings({ redis, database, emulator }: Place, more: Readonly<Settings> = {}): Settings {
  return {
    REDIS_URL: redis.url,
    DATABASE_URL: database.url,
    PORT: '0',
    LOG_LEVEL: 'silent',
    WAXWING_DATA_DIR: dataFolder(),
    WHATSAPP_API_URL: emulator.apiUrl,
    WHATSAPP_PHONE_NUMBER_ID: PHONE_NUMBER_ID,
    WHATSAPP_ACCESS_TOKEN: 'token',
    WHATSAPP_APP_SECRET: 'app-secret',
    WHATSAPP_RATE_LIMIT_MS: '0',
    PAIR_BUCKET_CAPACITY: '0',
    ...more,
  };
}

/** Starts it in this process; TEST_LOG=debug shows what it logs. @throws every setting that is wrong */
export async function runProgram(
  settings: Readonly<Settings>,
  role: Role = 'all',
  options: Parameters<typeof startProgram>[3] = {},
): Promise<Program> {
  const loaded = loadConfig({ ...settings }, dataFolder());
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return await startProgram(loaded.config, role, pino({ level: process.env['TEST_LOG'] ?? 'silent' }), options);
}

/**
 * One request of the product, or of an administrator where the path begins with `/admin`.
 * @param method default GET, or POST with a body
 */
export async function callProgram(
  program: Pick<Program, 'keys' | 'server'>,
  path: string,
  body?: unknown,
  method = body === undefined ? 'GET' : 'POST',
): Promise<Response> {
  const jwt = { secret: program.keys.jwtSecret, audience: undefined, issuer: undefined };
  const key = path.startsWith('/admin') ? await signJwt({ role: 'admin', name: 'ada' }, jwt) : program.keys.apiKey;
  return await fetch(`${program.server?.url ?? ''}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

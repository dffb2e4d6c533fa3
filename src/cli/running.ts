import { isIPv6 } from 'node:net';
import { type Dispatcher, request } from 'undici';
import type { Config } from '../config/index.ts';
import { CommandError, UsageError } from './settings.ts';

/** A program that runs on the same settings, asked over HTTP. */
export interface Running {
  readonly url: string;
  readonly credential: string;
}

export interface Asked {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** Where the program of these settings listens, unless the command line says another address. */
export function addressOf(config: Config, named: string | undefined): string {
  if (named === undefined) return `http://${reachable(config.host)}:${config.port}`;
  if (!URL.canParse(named) || !/^https?:$/.test(new URL(named).protocol)) {
    throw new UsageError(
      `--url must be the address of the program, such as http://127.0.0.1:3000; got ${JSON.stringify(named)}.`,
    );
  }
  return named.replace(/\/+$/, '');
}

/** A program that listens everywhere is reached on loopback. */
function reachable(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return isIPv6(host) ? `[${host}]` : host;
}

/** @throws CommandError with the program's own sentence when it refuses, or when none answers */
export async function ask<T>(running: Running, asked: Asked): Promise<T> {
  const body = await open(running, asked);
  return (await body.json()) as T;
}

/** The body as it comes, for exports. @throws CommandError as `ask` does */
export async function open(running: Running, asked: Asked): Promise<Dispatcher.ResponseData['body']> {
  const { method = 'GET', path, query = {}, body } = asked;
  const address = new URL(`${running.url}${path}`);
  for (const [name, value] of Object.entries(query)) if (value !== undefined) address.searchParams.set(name, value);
  const headers = { ...asked.headers, authorization: `Bearer ${running.credential}` };
  const answered = await request(address, {
    method,
    headers: body === undefined ? headers : { ...headers, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }).catch((error: unknown) => {
    throw new CommandError(
      `No program answers at ${running.url}. Start one with: npm start. If it listens elsewhere, say --url.`,
      { cause: error },
    );
  });
  if (answered.statusCode < 300) return answered.body;
  throw new CommandError(refusalOf(running.url, answered.statusCode, await answered.body.text()));
}

function refusalOf(url: string, status: number, text: string): string {
  const problem = problemIn(text);
  if (problem === undefined)
    return `What answers at ${url} (${status}) is not Waxwing: name its address with --url, or set PORT.`;
  // The credential was made from the keys at hand: when it is not known, the program has others.
  if (status === 401)
    return (
      `The program at ${url} has other keys than this command. Give the command the program's WAXWING_DATA_DIR ` +
      '(that of the demo is .waxwing/demo), or its WAXWING_API_KEY and JWT_SECRET. (UNAUTHORIZED)'
    );
  const field = problem.field === undefined ? '' : `, field ${problem.field}`;
  return `${problem.detail ?? 'The program refused.'} (${problem.code}${field})`;
}

interface Problem {
  readonly code: string;
  readonly detail?: string;
  readonly field?: string;
}

function problemIn(text: string): Problem | undefined {
  try {
    const problem = JSON.parse(text) as Partial<Problem> | null;
    return typeof problem?.code === 'string' ? (problem as Problem) : undefined;
  } catch {
    return undefined;
  }
}

import { request } from 'undici';
import type { Config } from '../config/index.ts';
import { CommandError } from './settings.ts';

/** A program that runs on the same settings, asked over HTTP. */
export interface Running {
  readonly url: string;
  readonly credential: string;
}

export interface Asked {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
}

/** Where the program of these settings listens, unless the command line says another address. */
export function addressOf(config: Config, named: string | undefined): string {
  return (named ?? `http://${config.host}:${config.port}`).replace(/\/+$/, '');
}

/** @throws CommandError with the program's own sentence when it refuses, or when none answers */
export async function ask<T>({ url, credential }: Running, { method = 'GET', path, body }: Asked): Promise<T> {
  const headers = { authorization: `Bearer ${credential}` };
  const answered = await request(`${url}${path}`, {
    method,
    headers: body === undefined ? headers : { ...headers, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }).catch((error: unknown) => {
    throw new CommandError(`No program answers at ${url}. Start one with: npm start`, { cause: error });
  });
  const text = await answered.body.text();
  if (answered.statusCode < 300) return JSON.parse(text) as T;
  throw new CommandError(refusalOf(answered.statusCode, text));
}

function refusalOf(status: number, text: string): string {
  try {
    const { code, detail } = JSON.parse(text) as { code?: string; detail?: string };
    return `${detail ?? 'The program refused.'} (${code ?? status})`;
  } catch {
    return `The program answered ${status}, not in its own words: is something else listening there?`;
  }
}

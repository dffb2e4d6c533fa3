import type { ClientConfig } from 'pg';

/** Connections in the pool of one process unless `?connection_limit=` says otherwise. */
const CONNECTIONS_MAX = 20;
/** Longest wait for a free connection unless `?pool_timeout=` says otherwise. */
const POOL_WAIT_MS = 10_000;

export interface DatabaseUrl {
  /** The address without the two parameters that are ours. */
  readonly connectionString: string;
  /** `?connection_limit=`, 1 … 1000; default 20. */
  readonly connectionsMax: number;
  /** `?pool_timeout=` (seconds, 0 = wait without end) in ms; default 10,000. */
  readonly poolWaitMs: number;
}

/**
 * Splits DATABASE_URL into what the driver takes and the pool's two parameters.
 * Done on the text and not with `URL`: addresses of Unix sockets (`postgresql://user@/db?host=/run`) are not URLs.
 * @throws RangeError when a parameter is not a whole number in its range
 */
export function parseDatabaseUrl(databaseUrl: string): DatabaseUrl {
  const mark = databaseUrl.indexOf('?');
  const base = mark < 0 ? databaseUrl : databaseUrl.slice(0, mark);
  const parameters = new URLSearchParams(mark < 0 ? '' : databaseUrl.slice(mark + 1));
  const connectionsMax = takeNumber(parameters, 'connection_limit', 1, 1000);
  const poolTimeoutSeconds = takeNumber(parameters, 'pool_timeout', 0, 3600);
  const rest = parameters.toString();
  return {
    connectionString: rest === '' ? base : `${base}?${rest}`,
    connectionsMax: connectionsMax ?? CONNECTIONS_MAX,
    poolWaitMs: poolTimeoutSeconds === undefined ? POOL_WAIT_MS : poolTimeoutSeconds * 1000,
  };
}

/** Options of a single connection outside the pool. */
export function clientOptions(databaseUrl: string): ClientConfig {
  return { connectionString: parseDatabaseUrl(databaseUrl).connectionString, keepAlive: true };
}

function takeNumber(parameters: URLSearchParams, name: string, min: number, max: number): number | undefined {
  const text = parameters.get(name);
  if (text === null) return undefined;
  parameters.delete(name);
  const value = Number(text);
  if (text === '' || !Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`DATABASE_URL: ${name} must be a whole number from ${min} to ${max}.`);
  }
  return value;
}

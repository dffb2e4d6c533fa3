import pg from 'pg';

/**
 * Works on a connection of its own. One that breaks rejects the query that is under way; the driver reports it beside
 * that, too, and a report that nobody hears ends the whole run.
 */
export async function withPostgres<T>(
  config: string | pg.ClientConfig,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client(config);
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Runs one statement on a connection of its own. */
export async function sql<R extends pg.QueryResultRow>(
  url: string,
  text: string,
  values: unknown[] = [],
): Promise<R[]> {
  return await withPostgres(url, async (client) => (await client.query<R>(text, values)).rows);
}

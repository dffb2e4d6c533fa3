import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { startPostgres } from '../../src/embedded/postgres-server.ts';
import { sql } from './postgres.ts';

/** What a test file needs to make a database of its own. */
export interface TemplateAnswer {
  /** A URL with a database from which others may be created and dropped. */
  readonly adminUrl: string;
  /** The migrated database to copy. */
  readonly template: string;
}

export interface TemplateServer {
  readonly answer: TemplateAnswer;
  stop(): Promise<void>;
}

/** The same server, another database. */
export function withDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}

const MIGRATE = new URL('../../src/record/migrate.ts', import.meta.url);

async function migrateTemplate(url: string): Promise<void> {
  // The rooms below the record are tested without it, also from a checkout that does not have it.
  if (!existsSync(MIGRATE)) return;
  const { migrate } = (await import('../../src/record/migrate.ts')) as { migrate: (url: string) => Promise<unknown> };
  await migrate(url);
}

/** Starts the run's PostgreSQL (or takes the given one) and makes the migrated template. */
export async function startTemplateServer(folder: string, givenUrl: string | undefined): Promise<TemplateServer> {
  const template = `waxwing_template_${randomBytes(4).toString('hex')}`;
  const isGiven = givenUrl !== undefined && givenUrl !== '';
  // Tests kill processes, never the machine's power: without fsync a database is made in half the time.
  const server = isGiven ? undefined : await startPostgres({ folder, isDurable: false });
  const adminUrl = server?.url ?? givenUrl ?? '';
  const stop = async (): Promise<void> => {
    if (server === undefined) await sql(adminUrl, `drop database if exists ${template} with (force)`);
    await server?.stop();
  };
  try {
    await sql(adminUrl, `create database ${template}`);
    await migrateTemplate(withDatabase(adminUrl, template));
    return { answer: { adminUrl, template }, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

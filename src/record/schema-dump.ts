import pg from 'pg';
import { clientOptions } from './database-url.ts';

/**
 * Writes down the schema from the catalogue, sorted by name: the same text for the same schema on PostgreSQL 14 and
 * later. `pg_dump` would do, but each of its versions writes another text.
 */
export async function dumpSchema(databaseUrl: string): Promise<string> {
  const client = new pg.Client(clientOptions(databaseUrl));
  client.on('error', () => undefined);
  await client.connect();
  try {
    const tables = await client.query<{ oid: number; name: string }>(
      `select oid, relname as name from pg_class
       where relkind in ('r', 'p') and relnamespace = current_schema()::regnamespace
         and relname <> 'schema_migrations'
       order by relname collate "C"`,
    );
    const parts = ['-- Made from the migrations by scripts/dump-schema.mjs: change those, not this.'];
    for (const table of tables.rows) {
      const columns = await linesOf(client, COLUMNS, table.oid);
      const constraints = await linesOf(client, CONSTRAINTS, table.oid);
      const indexes = await linesOf(client, INDEXES, table.oid);
      const triggers = await linesOf(client, TRIGGERS, table.oid);
      const body = [...columns, ...constraints].map((line) => `  ${line}`).join(',\n');
      parts.push(
        [`create table ${table.name} (\n${body}\n);`, ...[...indexes, ...triggers].map((line) => `${line};`)].join(
          '\n',
        ),
      );
    }
    const functions = await client.query<{ text: string }>(FUNCTIONS);
    parts.push(...functions.rows.map(({ text }) => `${text.trim()};`));
    return `${parts.join('\n\n')}\n`;
  } finally {
    await client.end();
  }
}

const COLUMNS = `
  select concat_ws(' ', quote_ident(attname), format_type(atttypid, atttypmod),
    case when attnotnull then 'not null' end,
    case
      when attgenerated = 's' then 'generated always as (' || pg_get_expr(adbin, adrelid) || ') stored'
      else 'default ' || pg_get_expr(adbin, adrelid)
    end) as line
  from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum
  where attrelid = $1 and attnum > 0 and not attisdropped
  order by attnum`;

/** Since PostgreSQL 18 also "not null" is a constraint with a name; it stands with its column already. */
const CONSTRAINTS = `
  select 'constraint ' || quote_ident(conname) || ' ' || pg_get_constraintdef(oid) as line
  from pg_constraint where conrelid = $1 and contype <> 'n'
  order by contype, conname collate "C"`;

const INDEXES = `
  select replace(pg_get_indexdef(indexrelid), current_schema() || '.', '') as line
  from pg_index join pg_class on pg_class.oid = indexrelid
  where indrelid = $1 and not exists (select from pg_constraint where conindid = indexrelid)
  order by relname collate "C"`;

const TRIGGERS = `
  select replace(pg_get_triggerdef(oid), current_schema() || '.', '') as line
  from pg_trigger where tgrelid = $1 and not tgisinternal
  order by tgname collate "C"`;

const FUNCTIONS = `
  select replace(pg_get_functiondef(oid), current_schema() || '.', '') as text
  from pg_proc where pronamespace = current_schema()::regnamespace and prokind = 'f'
  order by proname collate "C"`;

async function linesOf(client: pg.Client, query: string, table: number): Promise<string[]> {
  const { rows } = await client.query<{ line: string }>(query, [table]);
  return rows.map((row) => row.line);
}

#!/usr/bin/env node
// Writes src/record/schema.sql from the migrations. Give it an empty database of PostgreSQL 14 or newer:
//   node --import tsx scripts/dump-schema.mjs postgresql://postgres@127.0.0.1:5432/empty
// With --check it writes nothing and exits 1 when the file is out of date.
import { readFile, writeFile } from 'node:fs/promises';
import { migrate } from '../src/record/migrate.ts';
import { dumpSchema } from '../src/record/schema-dump.ts';

const FILE = new URL('../src/record/schema.sql', import.meta.url);
const databaseUrl = process.argv.slice(2).find((argument) => !argument.startsWith('--'));
if (databaseUrl === undefined) {
  console.error(
    'Give the URL of an empty PostgreSQL database: node --import tsx scripts/dump-schema.mjs <url> [--check]',
  );
  process.exit(2);
}
await migrate(databaseUrl);
const schema = await dumpSchema(databaseUrl);
if (!process.argv.includes('--check')) {
  await writeFile(FILE, schema);
} else if ((await readFile(FILE, 'utf8')) !== schema) {
  console.error('src/record/schema.sql is out of date: run this command without --check and commit the file.');
  process.exit(1);
}

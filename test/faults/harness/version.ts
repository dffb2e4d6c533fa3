import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inject } from 'vitest';
import { SCRIPTS } from '../../../src/engine/generated/scripts.ts';
import { ROOT } from './program.ts';

/* Made-up versions of the program: its own sources in another folder, with something changed. */

export interface MadeUpVersion {
  /** Folder to start it from. */
  readonly root: string;
  /** Digests under which its scripts are known to Redis. */
  readonly digests: readonly string[];
}

export interface Changes {
  /** A line that every script gets: other text, other digest. */
  readonly scriptLine?: string;
  /** A migration after all others, by file name. */
  readonly migration?: { readonly name: string; readonly sql: string };
  /** Another layout of keys. */
  readonly layout?: number;
}

export function madeUpVersion({ scriptLine, migration, layout }: Changes): MadeUpVersion {
  const root = mkdtempSync(join(inject('waxwingRunFolder'), 'version-'));
  for (const name of ['src', 'web', 'package.json', 'tsconfig.json']) {
    cpSync(join(ROOT, name), join(root, name), { recursive: true });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
  const digests: string[] = [];
  const scripts = Object.entries(SCRIPTS).map(([name, { text }]) => {
    const changed = scriptLine === undefined ? text : `${text}\n-- ${scriptLine}\n`;
    const sha1 = createHash('sha1').update(changed).digest('hex');
    digests.push(sha1);
    return [name, { sha1, text: changed }];
  });
  writeFileSync(
    join(root, 'src/engine/generated/scripts.ts'),
    `export const SCRIPTS = ${JSON.stringify(Object.fromEntries(scripts))} as const;\nexport type ScriptName = keyof typeof SCRIPTS;\n`,
  );
  if (migration !== undefined) writeFileSync(join(root, 'src/record/migrations', migration.name), migration.sql);
  if (layout !== undefined) {
    const keys = join(root, 'src/engine/keys.ts');
    const text = readFileSync(keys, 'utf8');
    const changed = text.replace(/LAYOUT_VERSION = \d+/, `LAYOUT_VERSION = ${layout}`);
    if (changed === text) throw new Error('keys.ts has no LAYOUT_VERSION to change');
    writeFileSync(keys, changed);
  }
  return { root, digests };
}

/** Number for a migration that comes after all that there are. */
export function nextMigration(): string {
  const last =
    readdirSync(join(ROOT, 'src/record/migrations'))
      .filter((name) => name.endsWith('.sql'))
      .sort()
      .at(-1) ?? '0';
  return String(Number.parseInt(last, 10) + 1).padStart(6, '0');
}

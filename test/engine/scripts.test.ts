import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SCRIPTS } from '../../src/engine/generated/scripts.ts';
import { KEY_LETTERS } from '../../src/engine/keys.ts';

const LUA = new URL('../../src/engine/lua/', import.meta.url);
const names = readdirSync(LUA).flatMap((file) => (file.endsWith('.lua') ? [file.slice(0, -4)] : []));
const source = (file: string) => readFileSync(new URL(file, LUA), 'utf8');
const header = (name: string) => /^--\[\[([\s\S]*?)\]\]/.exec(source(`${name}.lua`))?.[1] ?? '';

describe('The scripts and what is written about them', () => {
  it('the generated file is what the Lua files say', () => {
    const check = new URL('../../scripts/generate.mjs', import.meta.url).pathname;
    expect(execFileSync(process.execPath, [check, '--check'], { encoding: 'utf8' })).toContain('up to date');
    expect(Object.keys(SCRIPTS).sort()).toEqual(names.sort());
  });

  it.each(names)('%s says in its header what it takes, returns and costs', (name) => {
    const text = header(name);
    expect(text.startsWith(` ${name}: `)).toBe(true);
    for (const word of ['KEYS', 'ARGV', 'RETURN', 'COST']) expect(text).toMatch(new RegExp(`^ {2}${word} `, 'm'));
    expect(source(`${name}.lua`)).toMatch(/^return /m);
  });

  it.each(names)('%s reads the arguments that its header numbers, and no more', (name) => {
    const text = header(name);
    const documented = /ARGV([\s\S]*?)RETURN/.exec(text)?.[1] ?? '';
    const numbered = [...documented.matchAll(/(?<![\w.])(\d+)(?=…? \S)/g)].map(([, n]) => Number(n));
    const fixed = [...source(`${name}.lua`).matchAll(/ARGV\[(\d+)\]/g)].map(([, n]) => Number(n));
    // What follows the numbered ones is told in words (per message, per status, values of a verb).
    const isOpenEnded = /then per|…/.test(documented);
    const last = Math.max(0, ...numbered);
    if (!isOpenEnded) expect(Math.max(0, ...fixed)).toBeLessThanOrEqual(last);
    expect(documented).toMatch(/1 wallMs or ''/);
  });

  it('every include exists and is used, and none is included twice', () => {
    const files = readdirSync(new URL('includes/', LUA)).map((file) => file.slice(0, -4));
    const used = new Set<string>();
    for (const name of names) {
      const includes = [...source(`${name}.lua`).matchAll(/^-- @include "(\w+)"$/gm)].map(
        ([, include]) => include ?? '',
      );
      expect(new Set(includes).size).toBe(includes.length);
      for (const include of includes) {
        expect(files).toContain(include);
        used.add(include);
      }
      expect(SCRIPTS[name as keyof typeof SCRIPTS].text).not.toContain('@include');
    }
    expect([...used].sort()).toEqual(files.sort());
  });

  it('KEY_LETTERS lists every key that the scripts use, and no other', () => {
    const texts = [
      ...names.map((name) => source(`${name}.lua`)),
      ...readdirSync(new URL('includes/', LUA)).map((file) => source(`includes/${file}`)),
    ];
    // P .. 'g' and P .. 's:' .. id; the ring's letters are chosen: P .. (… and 'rn:' or 'ro:') .. id
    const direct = texts.flatMap((text) =>
      [...text.matchAll(/P \.\. '([a-z]+):?'/g)].map(([, letters]) => letters ?? ''),
    );
    const chosen = texts.flatMap((text) =>
      [...text.matchAll(/P \.\. \([^)]*? and '([a-z]+):' or '([a-z]+):'\)/g)].flatMap(([, a, b]) => [a ?? '', b ?? '']),
    );
    expect([...new Set([...direct, ...chosen])].sort()).toEqual(Object.keys(KEY_LETTERS).sort());
  });

  it('only accept, revive and those that only read may be refused when memory is full: the others free it', () => {
    const refused = names.filter(
      (name) => !SCRIPTS[name as keyof typeof SCRIPTS].text.startsWith('#!lua flags=allow-oom'),
    );
    expect(refused.sort()).toEqual(['accept', 'inspect', 'look', 'revive']);
  });
});

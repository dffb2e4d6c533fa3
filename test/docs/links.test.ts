import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

function pages(): string[] {
  const docs = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => join(root, 'docs', file));
  const front = readdirSync(root).filter((file) => file.endsWith('.md'));
  return [...front.map((file) => join(root, file)), ...docs].sort();
}

/** Text of a page without its examples: what looks like a link in code is none. */
function prose(file: string): string {
  return readFileSync(file, 'utf8')
    .replaceAll(/^```[\s\S]*?^```/gm, '')
    .replaceAll(/`[^`\n]*`/g, '');
}

/** Anchors that GitHub gives to the headings of a page. */
function anchors(file: string): Set<string> {
  const text = readFileSync(file, 'utf8').replaceAll(/^```[\s\S]*?^```/gm, '');
  const slugs = [...text.matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(/\s/g, '-'),
  );
  return new Set(slugs);
}

test('every relative link and picture of README and docs points to something that is there', () => {
  const broken: string[] = [];
  let links = 0;
  for (const file of pages()) {
    const text = prose(file);
    const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g), ...text.matchAll(/(?:src|srcset|href)="([^"]+)"/g)];
    for (const [, target = ''] of targets) {
      if (/^[a-z]+:/.test(target)) continue;
      links += 1;
      const [path = '', anchor] = target.split('#', 2);
      const found = path === '' ? file : join(dirname(file), path);
      const isThere =
        existsSync(found) && (anchor === undefined || !found.endsWith('.md') || anchors(found).has(anchor));
      if (!isThere) broken.push(`${relative(root, file)}: ${target}`);
    }
  }
  expect(broken).toEqual([]);
  expect(links).toBeGreaterThan(50);
});

test('every page of docs can be reached from README', () => {
  const reached = new Set<string>();
  const open = [join(root, 'README.md')];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (reached.has(file)) continue;
    reached.add(file);
    for (const [, target = ''] of prose(file).matchAll(/\]\(([^)\s#]+)[^)\s]*\)/g)) {
      const next = join(dirname(file), target);
      if (!/^[a-z]+:/.test(target) && next.endsWith('.md') && existsSync(next)) open.push(next);
    }
  }
  const lost = pages().filter((file) => !reached.has(file));
  expect(lost.map((file) => relative(root, file))).toEqual([]);
});

test('decisions are called by their own numbers, and the architecture lists all of them', () => {
  const wrong: string[] = [];
  for (const file of pages()) {
    for (const [link, said, number] of prose(file).matchAll(/\[decision (\d+)\]\([^)]*?(\d{4})-[^)]*\)/gi)) {
      if (Number(said) !== Number(number)) wrong.push(`${relative(root, file)}: ${link}`);
    }
  }
  expect(wrong).toEqual([]);
  const listed = readFileSync(join(root, 'docs/architecture.md'), 'utf8');
  for (const file of readdirSync(join(root, 'docs/decisions')).sort()) {
    const [, number, title] = /^# (\d+)\. (.+)$/m.exec(readFileSync(join(root, 'docs/decisions', file), 'utf8')) ?? [];
    expect(listed).toContain(`${number}. [${title}](decisions/${file})`);
  }
});

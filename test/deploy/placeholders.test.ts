import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { SETTINGS } from '../../src/config/catalogue.ts';
import { formatProblems, loadConfig } from '../../src/config/index.ts';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const files = [
  ...['fly.toml', 'Dockerfile', '.env.example'].map((file) => join(root, file)),
  ...readdirSync(join(root, 'deploy'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name)),
];
const secretNames = Object.entries(SETTINGS)
  .filter(([, setting]) => setting.secret)
  .map(([name]) => name);

/** Values that a file gives to secret settings, in whatever syntax; `${…}` and `…` leave them to the reader. */
function secretsIn(file: string): { readonly name: string; readonly value: string; readonly where: string }[] {
  const given = new RegExp(`(?:^|[\\s#"'])(${secretNames.join('|')})["']?[ \\t]*[:=][ \\t]*(\\S+)`, 'gm');
  return [...readFileSync(file, 'utf8').matchAll(given)].flatMap(([, name = '', written = '']) => {
    const value = written.replace(/^["']|["',]+$/g, '');
    return value === '' || value.startsWith('…') || /\$\{\w+/.test(value)
      ? []
      : [{ name, value, where: relative(root, file) }];
  });
}

const shipped = files.flatMap(secretsIn);

test('R10 · example files give secrets that are placeholders', () => {
  expect(new Set(shipped.map(({ where }) => where))).toContain('deploy/kubernetes/waxwing.example.env');
  expect(shipped.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['WAXWING_API_KEY', 'WAXWING_SECRET_KEY', 'JWT_SECRET', 'REDIS_URL', 'DATABASE_URL']),
  );
});

test.each(shipped)('R10 · start refuses the example value of $name in $where', ({ name, value }) => {
  const result = loadConfig({ [name]: value }, '/nonexistent');
  const problems = result.ok ? [] : result.problems;
  expect(problems.map(({ key }) => key)).toContain(name);
  const sentence = formatProblems(problems);
  expect(sentence).toMatch(/is the placeholder of an example; make one with: openssl rand/);
  expect(sentence).not.toContain(value);
});

test.each([
  ['JWT_SECRET', '<JWT_SECRET of 32 bytes>'],
  ['WAXWING_API_KEY', 'change-me-please'],
  ['WAXWING_SECRET_KEY', 'CHANGEME-CHANGEME'],
  ['WHATSAPP_APP_SECRET', 'real-one,replace-with-the-app-secret'],
  ['DATABASE_URL', 'postgresql://waxwing:%3Cpassword%3E@db:5432/waxwing'],
])('R10 · %s=%s is refused', (name, value) => {
  const result = loadConfig({ [name]: value }, '/nonexistent');
  expect(result.ok ? [] : result.problems.map(({ key }) => key)).toEqual([name]);
});

test.each([
  // Who started with a placeholder leaves it by naming it as the key before.
  ['WAXWING_SECRET_KEY_PREVIOUS', 'replace-with-32-random-bytes-as-hex'],
  ['WAXWING_API_KEY', 'wx_replaces-nothing-and-changes-me-not'],
  ['REDIS_URL', 'redis://:50%25-of-it@redis:6379/1'],
  ['WHATSAPP_VERIFY_TOKEN', 'your-shop-2024'],
])('R10 · %s=%s is taken', (name, value) => {
  expect(loadConfig({ [name]: value }, '/nonexistent').ok).toBe(true);
});

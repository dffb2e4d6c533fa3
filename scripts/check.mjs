// All that CI checks beside the tests. `npm run check` runs everything, `npm run check -- lint lua` the named ones.
// A check that cannot run has failed.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** A program of node_modules by its path there; its words go straight to the terminal. */
function program(path, ...args) {
  const result = spawnSync(process.execPath, [join(root, 'node_modules', path), ...args], {
    cwd: root,
    stdio: 'inherit',
  });
  return result.status === 0 ? [] : [`exit code ${result.status ?? result.signal}`];
}

function script(...args) {
  const result = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  return result.status === 0 ? [] : [`exit code ${result.status ?? result.signal}`];
}

/** The direction of knowledge between the rooms, and nothing in a circle. */
function structure() {
  const bin = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
  const args = ['src', '--config', '.dependency-cruiser.cjs', '--output-type', 'json'];
  const result = spawnSync(process.execPath, [bin, ...args], { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 28 });
  let summary;
  try {
    ({ summary } = JSON.parse(result.stdout));
  } catch {
    return [`dependency-cruiser gave no report: ${result.stderr.trim() || result.error?.message}`];
  }
  // With a TypeScript that it cannot use it cruises nothing and calls that a success.
  if (summary.totalCruised === 0) return ['dependency-cruiser cruised 0 modules: it could not read the sources'];
  console.log(`${summary.totalCruised} modules, ${summary.totalDependenciesCruised ?? 0} imports`);
  return summary.violations.map(({ rule, from, to, cycle }) =>
    cycle ? `${rule.name}: ${from} → ${cycle.map(({ name }) => name).join(' → ')}` : `${rule.name}: ${from} → ${to}`,
  );
}

function luaFiles(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.lua'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

/** luacheck reads the scripts as Redis gets them, with their includes: a part alone names what it does not define. */
async function lua() {
  if (luaFiles(join(root, 'src')).length === 0) return [];
  if (spawnSync('luacheck', ['--version']).status !== 0) {
    return ['luacheck is not on this machine: `apt-get install lua-check`, or `luarocks install luacheck`'];
  }
  const { resolveScript, scriptNames } = await import('./generate.mjs');
  const folder = mkdtempSync(join(tmpdir(), 'waxwing-lua-'));
  try {
    for (const name of scriptNames()) {
      // The first line (`#!lua flags=…`) is Redis' own; an empty one keeps the line numbers.
      writeFileSync(join(folder, `${name}.lua`), resolveScript(name).replace(/^#!.*$/m, ''));
    }
    const args = ['--std', 'lua51', '--read-globals', 'redis', 'KEYS', 'ARGV', 'cjson', 'cmsgpack', 'bit', 'struct'];
    // A script uses only some of what an include defines or sets; a line of comment may be long.
    const options = ['--no-unused-secondaries', '--ignore', '211', '231', '241', '--no-max-line-length', '--no-color'];
    const result = spawnSync('luacheck', ['.', ...args, ...options], { cwd: folder, stdio: 'inherit' });
    return result.status === 0 ? [] : [`exit code ${result.status ?? result.signal}`];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Without these two, `npm ci` fails on other machines ("Missing: … from lock file") or asks one machine's registry. */
function lockfile() {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const problems = [];
  const isThere = (from, name) => {
    for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/node_modules/')))) {
      if (packages[`${at === '' ? '' : `${at}/`}node_modules/${name}`]) return true;
      if (at === '') return false;
    }
  };
  for (const [path, entry] of Object.entries(packages)) {
    if (entry.resolved)
      problems.push(`${path} has "resolved": write the lockfile with omit-lockfile-registry-resolved`);
    for (const name of Object.keys(entry.optionalDependencies ?? {})) {
      if (!isThere(path, name)) problems.push(`${path || 'the project'} wants ${name}, which has no entry`);
    }
  }
  return problems;
}

const CHECKS = {
  lockfile,
  format: () => program('prettier/bin/prettier.cjs', '--check', '--log-level', 'warn', '.'),
  // The pages run in a browser: other libraries, and a check of their own each.
  types: () => [
    ...program('typescript/bin/tsc', '--noEmit'),
    ...['web/dashboard', 'web/emulator'].flatMap((page) => program('typescript/bin/tsc', '--noEmit', '-p', page)),
  ],
  lint: () => program('eslint/bin/eslint.js', '--max-warnings', '0', '.'),
  structure,
  unused: () => program('knip/bin/knip.js', '--no-progress'),
  generated: () => [
    ...script('scripts/generate.mjs', '--check'),
    ...script('scripts/generate-observability.mjs', '--check'),
  ],
  lua,
};

const chosen = process.argv.slice(2);
const unknown = chosen.filter((name) => !Object.hasOwn(CHECKS, name));
if (unknown.length > 0) {
  console.error(`There is no check named ${unknown.join(', ')}. There are: ${Object.keys(CHECKS).join(', ')}.`);
  process.exit(1);
}

const results = [];
for (const name of chosen.length > 0 ? chosen : Object.keys(CHECKS)) {
  console.log(`\n── ${name}`);
  const startMs = performance.now();
  const problems = await CHECKS[name]();
  for (const problem of problems) console.error(problem);
  results.push({ name, isGood: problems.length === 0, seconds: (performance.now() - startMs) / 1000 });
}
console.log('');
for (const { name, isGood, seconds } of results) {
  console.log(`${isGood ? '✓' : '✗'} ${name.padEnd(10)} ${seconds.toFixed(1).padStart(6)} s`);
}
if (results.some(({ isGood }) => !isGood)) process.exit(1);

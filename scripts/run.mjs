// One door for every command of package.json: installs what is missing, then runs the program, passing signals and the
// exit code on. Built-ins only.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const NODE_MIN = [20, 19];
const root = dirname(dirname(fileURLToPath(import.meta.url)));

function refuseOldNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1])) return;
  console.error(
    `Waxwing needs Node ${NODE_MIN.join('.')} or newer, and this is ${process.versions.node}: ` +
      'install Node 20, 22 or 24 (https://nodejs.org) and type the command again.',
  );
  process.exit(1);
}

const inRoot = (path) => join(root, path);
/** Found from here and not from the current folder, so that the programs also run when called from elsewhere. */
const tsx = () => pathToFileURL(createRequire(inRoot('package.json')).resolve('tsx')).href;
const vitest = (args) => ({ args: [inRoot('node_modules/vitest/vitest.mjs'), 'run', ...args], cwd: root });
/** One file of the fault suite, in the catalogue's size, with a table of its own in bench/results. */
const faults = (name, rest) => ({
  ...vitest(['--config', 'vitest.faults.config.ts', `test/faults/${name}.test.ts`, ...rest]),
  env: { WAXWING_FAULT_SCALE: process.env.WAXWING_FAULT_SCALE ?? '1', WAXWING_FAULT_RESULT: name },
});
const typescript = (file, args) => ({ args: ['--import', tsx(), inRoot(file), ...args] });
const script = (file, args) => ({ args: [inRoot(file), ...args], cwd: root });

const COMMANDS = {
  test: (rest) => vitest(rest),
  'test:long': (rest) => vitest(['--config', 'vitest.long.config.ts', ...rest]),
  'test:faults': (rest) => vitest(['--config', 'vitest.faults.config.ts', ...rest]),
  'test:rolling': (rest) => faults('rolling', rest),
  'test:storm': (rest) => faults('storm', rest),
  'test:model': (rest) => ({
    ...vitest(['test/model', ...rest]),
    env: {
      WAXWING_MODEL_RUNS: process.env.WAXWING_MODEL_RUNS ?? '2000',
      WAXWING_MODEL_SEED: process.env.WAXWING_MODEL_SEED ?? 'random',
    },
  }),
  'test:security': (rest) => vitest(['--config', 'vitest.security.config.mjs', ...rest]),
  'test:queue': (rest) => vitest(['test/engine', 'test/worker', 'test/messages', ...rest]),
  'test:cluster': (rest) => script('scripts/test-cluster.mjs', rest),
  'test:cache': (rest) => vitest(['test/cache', ...rest]),
  'test:queue:load': (rest) => vitest(['--config', 'vitest.load.config.ts', ...rest]),
  'bench:cache': (rest) => ({
    ...typescript('bench/cache.ts', rest),
    args: ['--expose-gc', ...typescript('bench/cache.ts', rest).args],
  }),
  'bench:stats': (rest) => ({
    ...typescript('bench/stats.ts', rest),
    args: ['--expose-gc', ...typescript('bench/stats.ts', rest).args],
  }),
  'bench:brownout': (rest) => faults('brownout', rest),
  'bench:isolation': (rest) => faults('isolation', rest),
  'bench:workers': (rest) => typescript('bench/workers.ts', rest),
  'bench:footprint': (rest) => typescript('bench/footprint.ts', rest),
  'bench:instructions': (rest) => typescript('bench/instructions.ts', rest),
  'bench:keys': (rest) => typescript('bench/idempotency-keys.ts', rest),
  'bench:metrics': (rest) => typescript('bench/metrics-cost.ts', rest),
  'bench:dashboard': (rest) => typescript('bench/dashboard.ts', rest),
  'bench:failures': (rest) => typescript('bench/failures.ts', rest),
  bench: (rest) => typescript('bench/main.ts', rest),
  check: (rest) => script('scripts/check.mjs', rest),
  'worker:send:dev': (rest) => ({
    args: ['--import', tsx(), '--watch', inRoot('src/cli/main.ts'), 'start', '--role', 'worker', ...rest],
  }),
};

/**
 * Calls `onLost` once when the shell that npm put between itself and us is gone. npm passes SIGTERM to that shell; one that
 * stays beside its command (Debian's) dies of it and tells nobody, and the program would run on without anybody who knows it.
 */
function watchNpmsShell(onLost) {
  const parent = process.ppid;
  if (process.env.npm_lifecycle_event === undefined || parent <= 1) return;
  const WATCH_MS = 250;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    onLost();
  }, WATCH_MS);
  timer.unref();
}

/** What may open the dashboard: its page is built when it is not there, or not of these sources. */
const SERVES_PAGES = new Set(['start', 'demo', 'test', 'bench:dashboard']);

/** What to run for a command: everything that is not named above is a command of the program itself. */
function planOf(command, rest) {
  const plan = Object.hasOwn(COMMANDS, command)
    ? COMMANDS[command](rest)
    : typescript('src/cli/main.ts', [command, ...rest]);
  const file = plan.args.find((argument) => argument.startsWith(root) && /\.(ts|mjs)$/.test(argument));
  if (file !== undefined && !existsSync(file)) throw new Error(`${file} is not there: this checkout is not complete.`);
  return plan;
}

/**
 * Does a Ctrl-C reach the child without us. A terminal sends it to every process of its foreground group, and a second
 * one from us would look like an impatient person.
 */
function isTerminalsOwn() {
  if (process.platform !== 'linux') return Boolean(process.stdin.isTTY);
  try {
    const stat = readFileSync('/proc/self/stat', 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [processGroup, foregroundGroup] = [fields[2], fields[5]];
    return processGroup === foregroundGroup;
  } catch {
    return Boolean(process.stdin.isTTY);
  }
}

function run({ args, cwd, env }) {
  const child = spawn(process.execPath, args, {
    stdio: 'inherit',
    cwd: cwd ?? process.cwd(),
    env: { ...process.env, ...env },
  });
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'].filter((name) => name in constants.signals);
  // npm passes on what its whole group was sent as well: one wish of the sender arrives here twice, and the program
  // would take the second for an impatient person's.
  const ECHO_MS = 500;
  let wasSignalled = false;
  for (const signal of signals) {
    let lastMs = -Infinity;
    process.on(signal, () => {
      const isEcho = performance.now() - lastMs < ECHO_MS;
      lastMs = performance.now();
      wasSignalled = true;
      if (isEcho) return;
      if ((signal === 'SIGINT' || signal === 'SIGQUIT') && isTerminalsOwn()) return;
      child.kill(signal);
    });
  }
  watchNpmsShell(() => {
    if (!wasSignalled) child.kill('SIGTERM');
  });
  child.on('error', (error) => {
    console.error(`${args.join(' ')} could not be started: ${error.message}`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    // Shells and npm expect 128 + number from a program that a signal ended.
    process.exit(128 + (constants.signals[signal] ?? 0));
  });
}

async function main() {
  refuseOldNode();
  const [command, ...rest] = process.argv.slice(2);
  const { ensureInstalled } = await import('./install.mjs');
  await ensureInstalled(root);
  if (SERVES_PAGES.has(command) && existsSync(inRoot('web/dashboard'))) {
    const { ensureDashboard } = await import('./dashboard.mjs');
    await ensureDashboard();
  }
  run(planOf(command ?? '--help', rest));
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});

// Installs the dependencies when they are missing or the lockfile has changed, so that any command works as the first
// one typed in a fresh clone. Built-ins only: it runs before anything is installed. It is called by scripts/run.mjs and
// not by `pre…` scripts of package.json, because `ignore-scripts=true` in an .npmrc skips those.
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const TRIES_MAX = 3;
const PAUSE_MS = 2_000;
const LOCK_PREFIX = 'install.lock.';
const LOCK_PATIENCE_MS = 15 * 60_000;

const pause = (durationMs) => new Promise((resolve) => setTimeout(resolve, durationMs));

function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/** What the installed packages belong to: this lockfile on this kind of machine. */
function wantedStamp(root) {
  const lockfile = readFileSync(join(root, 'package-lock.json'));
  return `${createHash('sha256').update(lockfile).digest('hex')} ${process.platform}-${process.arch}\n`;
}

const stampPath = (root) => join(root, 'node_modules', '.waxwing-install');

function isStamped(root, stamp) {
  try {
    return readFileSync(stampPath(root), 'utf8') === stamp;
  } catch {
    return false;
  }
}

function writeStamp(root, stamp) {
  try {
    writeFileSync(stampPath(root), stamp);
  } catch {
    // Somebody else's node_modules, complete but not ours to write in: it is looked at again next time.
  }
}

/** Does this Linux use musl (Alpine) and not glibc. */
function isMusl() {
  try {
    return readdirSync('/lib').some((name) => name.startsWith('ld-musl-'));
  } catch {
    return false;
  }
}

/** Is a package that is optional in the lockfile one that this machine needs. */
function isForThisMachine(path, entry) {
  const allows = (list, value) => list.includes(value) || (list[0]?.startsWith('!') && !list.includes(`!${value}`));
  if (!entry.os || !entry.cpu) return false;
  if (!allows(entry.os, process.platform) || !allows(entry.cpu, process.arch)) return false;
  const isForMusl = entry.libc?.includes('musl') ?? path.includes('musl');
  return process.platform !== 'linux' || isForMusl === isMusl();
}

/** Did `npm ci` or `npm install`, typed by a person, put exactly these packages there. */
function isComplete(root) {
  const wanted = readJson(join(root, 'package-lock.json'))?.packages;
  const installed = readJson(join(root, 'node_modules', '.package-lock.json'))?.packages;
  if (!wanted || !installed) return false;
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '' || (entry.optional && !isForThisMachine(path, entry))) return true;
    return installed[path]?.version === entry.version && existsSync(join(root, path, 'package.json'));
  });
}

/** When a process started, so that a later one with its number is not taken for it; empty where that is not told. */
function startOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie has ended; only its parent has not looked yet.
    return fields[0] === 'Z' ? 'ended' : (fields[19] ?? '');
  } catch {
    return '';
  }
}

function isRunning({ pid, start }) {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (error.code !== 'EPERM') return false;
  }
  return start === '' || startOf(pid) === start;
}

/** Ends the npm of an installer that was killed: two of them in one folder would trip over each other. */
async function endOrphan(npm) {
  for (const [signal, waitMs] of [
    ['SIGTERM', 5_000],
    ['SIGKILL', 5_000],
  ]) {
    const deadlineMs = Date.now() + waitMs;
    if (isRunning(npm)) process.kill(npm.pid, signal);
    while (isRunning(npm) && Date.now() < deadlineMs) await pause(20);
  }
}

/** The pid of another live contender; what is left of those that have ended is cleared away. */
async function liveOther(folder, own) {
  for (const file of readdirSync(folder)) {
    if (!file.startsWith(LOCK_PREFIX) || file === own || file.endsWith('.new')) continue;
    const claim = readJson(join(folder, file));
    if (claim && isRunning(claim)) return claim.pid;
    if (claim?.npm) await endOrphan(claim.npm);
    rmSync(join(folder, file), { force: true });
  }
  return undefined;
}

/**
 * One installer at a time. Every contender puts down a file, then looks for living others and withdraws when it sees
 * one: of two, the later one always sees the earlier (see src/embedded/file-lock.ts).
 */
async function takeLock(folder) {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const deadlineMs = Date.now() + LOCK_PATIENCE_MS;
  for (let isTold = false; ;) {
    const file = `${LOCK_PREFIX}${process.pid}-${randomBytes(4).toString('hex')}`;
    const path = join(folder, file);
    const claim = (more) => {
      writeFileSync(`${path}.new`, JSON.stringify({ pid: process.pid, start: startOf(process.pid), ...more }));
      renameSync(`${path}.new`, path);
    };
    claim();
    const other = await liveOther(folder, file);
    if (other === undefined) return { claim, release: () => rmSync(path, { force: true }) };
    rmSync(path, { force: true });
    if (Date.now() > deadlineMs) throw new Error(`Process ${other} has been installing the dependencies for too long.`);
    if (!isTold) console.error(`Process ${other} is installing the dependencies; waiting for it.`);
    isTold = true;
    await pause(100 + Math.random() * 200);
  }
}

/**
 * Becomes the command that follows when it is told to, and ends when we end first: so nobody finds npm at work in the
 * moment before its number is written down.
 */
const WAIT_THEN_BECOME = ['/bin/sh', '-c', 'read -r go && exec "$@" </dev/null', 'sh'];

/** Runs `npm ci` and resolves with the way it failed, or undefined. A signal to us ends it and then us. */
function runNpmCi(root, onStart) {
  // Under `npm run` its own npm is used, whatever `npm` on PATH may be.
  const npm = process.env.npm_execpath;
  // Errors only: two packages that warn of Node 20 are tried on it with every change.
  const args = ['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error'];
  // npm's words go to stderr, so that a command's own output on stdout stays clean.
  const command = npm && /npm-cli\.c?js$/.test(npm) ? [process.execPath, npm, ...args] : ['npm', ...args];
  const isWindows = process.platform === 'win32';
  const [file, ...rest] = isWindows ? command : [...WAIT_THEN_BECOME, ...command];
  const child = spawn(file, rest, { cwd: root, stdio: ['pipe', 2, 2], shell: isWindows && file === 'npm' });
  if (child.pid !== undefined) onStart({ pid: child.pid, start: startOf(child.pid) });
  // It may have ended already, by a signal: its exit tells.
  child.stdin.on('error', () => undefined);
  child.stdin.end('go\n');
  const handlers = ['SIGINT', 'SIGTERM', 'SIGHUP'].map((signal) => [signal, () => child.kill(signal)]);
  let stopSignal;
  for (const [signal, handler] of handlers) {
    process.once(signal, handler);
    process.once(signal, () => (stopSignal = signal));
  }
  return new Promise((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('exit', (code, signal) => {
      for (const [name] of handlers) process.removeAllListeners(name);
      if (stopSignal !== undefined) process.kill(process.pid, stopSignal);
      else resolve(code === 0 ? undefined : `exit code ${code ?? signal}`);
    });
  });
}

/** Makes sure that node_modules belongs to package-lock.json. Throws an Error with one sentence when it cannot. */
export async function ensureInstalled(root) {
  const stamp = wantedStamp(root);
  if (isStamped(root, stamp)) return;
  if (isComplete(root)) return writeStamp(root, stamp);
  const lock = await takeLock(join(root, '.waxwing'));
  try {
    if (isStamped(root, stamp)) return;
    console.error('Installing the dependencies (once, about a minute) …');
    for (let attempt = 1; ; attempt += 1) {
      const failure = await runNpmCi(root, (npm) => lock.claim({ npm }));
      if (failure === undefined) return writeStamp(root, stamp);
      if (attempt === TRIES_MAX) {
        throw new Error(
          `The dependencies could not be installed (npm ci: ${failure}; its reason is above). ` +
            'See that the npm registry can be reached and that this folder may be written, then type the command again.',
        );
      }
      console.error(`npm ci failed (${failure}); trying again (${attempt + 1} of ${TRIES_MAX}).`);
      await pause(PAUSE_MS * attempt);
    }
  } finally {
    lock.release();
  }
}

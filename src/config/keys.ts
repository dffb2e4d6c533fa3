import { randomBytes } from 'node:crypto';
import { chmod, link, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from './load.ts';

const NAMES = ['apiKey', 'jwtSecret', 'secretKey'] as const;
export type MadeKey = (typeof NAMES)[number];

/** The keys in force: from the settings, or made once and stored in `<dataDir>/keys.json`. */
export interface Keys {
  /** Platform key. */
  readonly apiKey: string;
  /** Secret of the JWTs, HS256. */
  readonly jwtSecret: string;
  /** Encrypts stored credentials and signs tags. */
  readonly secretKey: string;
  /** Earlier secret keys: they open and read what was made with them, and make nothing new. */
  readonly previousSecretKeys: readonly string[];
  /** What this very call made: print a new API key once, it is shown nowhere else. */
  readonly made: readonly MadeKey[];
}

type Stored = Partial<Record<MadeKey, string>> & { previousSecretKeys?: readonly string[] };
type KeySettings = Pick<Config, 'waxwingDataDir' | 'waxwingApiKey' | 'jwtSecret' | 'waxwingSecretKey'> &
  Partial<Pick<Config, 'waxwingSecretKeyPrevious'>>;

/**
 * Takes keys from the settings and makes those that are unset, stored with mode 0600. Any number of processes may
 * call it at the same time on one data folder: all get the same keys, and `made` names a key in one of them only.
 * @throws Error in plain words when the file is there and cannot be read, because new keys would lock everybody out
 */
export async function resolveKeys(settings: KeySettings): Promise<Keys> {
  const given: Record<MadeKey, string | undefined> = {
    apiKey: settings.waxwingApiKey,
    jwtSecret: settings.jwtSecret,
    secretKey: settings.waxwingSecretKey,
  };
  const wanted = NAMES.filter((name) => given[name] === undefined);
  const { stored, made }: { stored: Stored; made: MadeKey[] } =
    wanted.length === 0 ? { stored: {}, made: [] } : await storedKeys(settings.waxwingDataDir, wanted);
  const key = (name: MadeKey): string => {
    const value = given[name] ?? stored[name];
    if (value === undefined) throw new Error(`The key ${name} was neither given nor stored.`);
    return value;
  };
  // A key that was made and then set by hand still opens what it sealed, as long as it stands in the settings.
  const previousSecretKeys = [...(settings.waxwingSecretKeyPrevious ?? []), ...(stored.previousSecretKeys ?? [])];
  return { apiKey: key('apiKey'), jwtSecret: key('jwtSecret'), secretKey: key('secretKey'), previousSecretKeys, made };
}

/**
 * Puts a new secret key in the place of the one that was made; the old one becomes the first of the previous ones.
 * Only for a data folder on which no program runs: those that do know the old key only.
 * @param settings.keep how many previous keys stay: what an interrupted rotation left can still be opened
 */
export async function replaceSecretKey(dataDir: string, { keep }: { readonly keep: number }): Promise<void> {
  await changeStored(dataDir, (before) => ({
    ...before,
    secretKey: newKey('secretKey'),
    previousSecretKeys: [before.secretKey ?? [], before.previousSecretKeys ?? []].flat().slice(0, keep),
  }));
}

async function changeStored(dataDir: string, change: (before: Stored) => Stored): Promise<void> {
  const path = join(dataDir, 'keys.json');
  await inTurn(() =>
    withLock(`${path}.lock`, async () => {
      await replaceFile(path, `${JSON.stringify(change(await readStored(path)), null, 2)}\n`);
    }),
  );
}

async function storedKeys(dataDir: string, wanted: readonly MadeKey[]): Promise<{ stored: Stored; made: MadeKey[] }> {
  const path = join(dataDir, 'keys.json');
  const first = await readStored(path);
  if (wanted.every((name) => first[name] !== undefined)) return { stored: first, made: [] };

  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  return inTurn(() =>
    withLock(`${path}.lock`, async () => {
      const before = await readStored(path);
      const made = wanted.filter((name) => before[name] === undefined);
      if (made.length === 0) return { stored: before, made };
      const stored: Stored = { ...before, ...Object.fromEntries(made.map((name) => [name, newKey(name)])) };
      await replaceFile(path, `${JSON.stringify(stored, null, 2)}\n`);
      return { stored, made };
    }),
  );
}

let lastTurn: Promise<unknown> = Promise.resolve();

function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const turn = lastTurn.then(work, work);
  lastTurn = turn.catch(() => undefined);
  return turn;
}

function newKey(name: MadeKey): string {
  // The prefix lets secret scanners and people recognise a key that leaked; 256 bits cannot be guessed.
  return `${name === 'apiKey' ? 'wx_' : ''}${randomBytes(32).toString('base64url')}`;
}

async function readStored(path: string): Promise<Stored> {
  let content: string;
  try {
    content = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new Error(`The keys in ${path} cannot be read; give this user access to the file.`, { cause: error });
  }
  try {
    const parsed: unknown = JSON.parse(content);
    if (typeof parsed !== 'object' || parsed === null) throw new Error('not an object');
    const stored: Stored = {};
    for (const name of NAMES) {
      const value = (parsed as Record<string, unknown>)[name];
      if (typeof value === 'string' && value.length > 0) stored[name] = value;
    }
    const { previousSecretKeys } = parsed as { readonly previousSecretKeys?: unknown };
    if (Array.isArray(previousSecretKeys) && previousSecretKeys.every((one) => typeof one === 'string')) {
      stored.previousSecretKeys = previousSecretKeys;
    }
    return stored;
  } catch (error) {
    throw new Error(
      `${path} is damaged. Restore it from a backup, or remove it: new keys are made then, and stored credentials must be entered again.`,
      { cause: error },
    );
  }
}

/** Whole or not at all, and on disk before it counts. */
async function replaceFile(path: string, content: string): Promise<void> {
  const temporary = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  const file = await open(temporary, 'wx', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await chmod(temporary, 0o600);
  await rename(temporary, path);
}

const LOCK_DEADLINE_MS = 10_000;
const LOCK_POLL_MS = 20;

/** One process at a time; the lock of a process that died is taken over. */
async function withLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  const own = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  const deadline = Date.now() + LOCK_DEADLINE_MS;
  const file = await open(own, 'wx', 0o600);
  await file.writeFile(String(process.pid));
  await file.close();
  try {
    for (;;) {
      try {
        // link() either makes the whole lock, with the pid in it, or fails because another one is there.
        await link(own, path);
        break;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      if (await isAbandoned(path)) await takeAway(path, `${own}.stale`);
      else if (Date.now() > deadline) throw new Error(`Another process holds ${path}; end it or remove the file.`);
      else await new Promise((done) => setTimeout(done, LOCK_POLL_MS));
    }
    try {
      return await work();
    } finally {
      await rm(path, { force: true });
    }
  } finally {
    await rm(own, { force: true });
  }
}

async function isAbandoned(path: string): Promise<boolean> {
  const holder = Number(await readFile(path, 'utf8').catch(() => 'gone'));
  if (!Number.isInteger(holder) || holder <= 0) return false;
  // Calls of this process take turns, so a lock with its pid was left by an earlier process: in a container
  // every start has the same pid.
  if (holder === process.pid) return true;
  try {
    process.kill(holder, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/** Removes an abandoned lock. If somebody replaced it in between, the lock that was caught is put back. */
async function takeAway(path: string, aside: string): Promise<void> {
  try {
    await rename(path, aside);
  } catch {
    return;
  }
  if (!(await isAbandoned(aside))) await link(aside, path).catch(() => undefined);
  await rm(aside, { force: true });
}

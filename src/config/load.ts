import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { camelCase, SETTINGS, type ConfigValues } from './catalogue.ts';
import { isPlaceholder, PLACEHOLDER_EXPECTED } from './placeholders.ts';
import type { ConfigProblem, ConfigWarning } from './problem.ts';
import { cacheRedis, type ManyRedis, queueRedis, queueServers } from './redis-url.ts';
import { checkRelations } from './rules.ts';
import type { Setting } from './setting.ts';
import { unknownNames } from './unknown-names.ts';

/** Every setting under the camel case of its name, checked, frozen. Made once at start and passed down. */
export interface Config extends ConfigValues {
  /** Absolute path; WAXWING_DATA_DIR may be relative to the working folder. */
  readonly waxwingDataDir: string;
  /** The queue Redis with its database in the address; undefined = the embedded one. Secret. */
  readonly queueRedisUrl: string | undefined;
  /** The queue Redis when it is a cluster or stands behind sentinels. Secret. */
  readonly queueServers: ManyRedis | undefined;
  /** The cache's Redis with its database in the address; undefined = the embedded one. Secret. */
  readonly cacheRedisUrl: string | undefined;
  /** TEMPLATE_SID_<KEY>: key in lower case → content id. */
  readonly templateSids: Readonly<Record<string, string>>;
}

export type LoadResult =
  | { readonly ok: true; readonly config: Config; readonly warnings: readonly ConfigWarning[] }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[]; readonly warnings: readonly ConfigWarning[] };

type Env = Readonly<Record<string, string | undefined>>;

/**
 * Reads all settings from `env` and from a `.env` in `cwd` (`env` wins; an empty value counts as unset).
 * Never throws: every problem is in the answer, all of them at once.
 * @param env usually `process.env`
 * @param cwd working folder: of `.env`, and of a relative WAXWING_DATA_DIR
 */
export function loadConfig(env: Env, cwd: string): LoadResult {
  const problems: ConfigProblem[] = [];
  const file = readEnvFile(cwd, problems);
  const given = nonEmpty({ ...file, ...nonEmpty(env) });

  const values: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(SETTINGS as Record<string, Setting<unknown>>)) {
    values[camelCase(name)] = readOne(name, setting, given[name], problems);
  }
  const strange = unknownNames(given, new Set(Object.keys(file)));
  problems.push(...strange.problems);
  const { warnings } = strange;

  // Relations are judged on the values that could be read (defaults in place of wrong ones), so that one round
  // of corrections is enough; a relation is skipped when one of its own settings is already at fault.
  const relations = checkRelations(values as unknown as ConfigValues, (name) => given[name] !== undefined);
  const atFault = new Set(problems.map((one) => one.key));
  problems.push(...relations.problems.filter((one) => !atFault.has(one.key)));
  warnings.push(...relations.warnings);
  if (problems.length > 0) return { ok: false, problems, warnings };

  const read = values as unknown as ConfigValues;
  const config: Config = Object.freeze({
    ...read,
    waxwingDataDir: resolve(cwd, read.waxwingDataDir),
    queueRedisUrl: queueRedis(read)?.url,
    queueServers: queueServers(read),
    cacheRedisUrl: cacheRedis(read),
    templateSids: templateSids(given),
  });
  return { ok: true, config, warnings };
}

const TEMPLATE_SID = /^TEMPLATE_SID_([A-Z0-9_]+)$/;

function templateSids(given: Env): Readonly<Record<string, string>> {
  const sids = Object.create(null) as Record<string, string>;
  for (const [name, value] of Object.entries(given)) {
    const key = TEMPLATE_SID.exec(name)?.[1];
    if (key !== undefined && value !== undefined) sids[key.toLowerCase()] = value;
  }
  return Object.freeze(sids);
}

function readOne(
  name: string,
  setting: Setting<unknown>,
  value: string | undefined,
  problems: ConfigProblem[],
): unknown {
  if (value === undefined)
    return Array.isArray(setting.default) ? Object.freeze([...(setting.default as unknown[])]) : setting.default;
  if (setting.secret && isPlaceholder(name, value)) {
    problems.push({ key: name, expected: PLACEHOLDER_EXPECTED, got: '***' });
    return setting.default;
  }
  const parsed = setting.parse(value);
  if (parsed.ok) return parsed.value;
  problems.push({ key: name, expected: setting.expected, got: setting.secret ? '***' : value });
  return setting.default;
}

function readEnvFile(cwd: string, problems: ConfigProblem[]): Record<string, string> {
  const path = resolve(cwd, '.env');
  try {
    // A byte order mark would become part of the first name.
    return parseEnv(readFileSync(path, 'utf8').replace(/^\uFEFF/, '')) as Record<string, string>;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENOTDIR') {
      problems.push({ key: '.env', expected: `a readable file at ${path}`, got: code ?? 'an error' });
    }
    return {};
  }
}

function nonEmpty(env: Env): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && value.trim() !== '') kept[name] = value.trim();
  }
  return kept;
}

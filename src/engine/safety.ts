import { Redis } from 'ioredis';
import { mastersOf, type RedisClient } from './connection.ts';

export type AcceptDurability = 'disk' | 'replica' | 'memory';

/** What speaks against a Redis as the queue's, and what could not be found out. One sentence each. */
export interface SafetyFindings {
  readonly problems: string[];
  readonly warnings: string[];
}

/** Scripts with `#!lua` flags, XAUTOCLAIM's third answer, and functions in clusters came with this version. */
const REDIS_VERSION_MIN = 7;

/**
 * Looks whether a Redis keeps what the engine accepts: no eviction, append-only file on, fsync on every write.
 * What a managed server hides (no CONFIG) is read from INFO; what stays unknown is a warning.
 * (Measured: `everysec` lost up to a second of accepted messages in a power cut; an evicting Redis lost most streams.)
 */
export async function checkQueueSafety(client: RedisClient, durability: AcceptDurability): Promise<SafetyFindings> {
  if (client instanceof Redis) return await checkServer(client, durability);
  // Each master keeps its own part of the messages, so each must be safe.
  const findings: SafetyFindings = { problems: [], warnings: [] };
  for (const node of mastersOf(client)) {
    const { problems, warnings } = await checkServer(node, durability);
    const name = `${node.options.host ?? ''}:${node.options.port ?? ''}`;
    findings.problems.push(...problems.map((problem) => `${name}: ${problem}`));
    findings.warnings.push(...warnings.map((warning) => `${name}: ${warning}`));
  }
  if (findings.problems.length + findings.warnings.length === 0 && mastersOf(client).length === 0)
    findings.problems.push('The cluster names no master.');
  return findings;
}

async function checkServer(client: Redis, durability: AcceptDurability): Promise<SafetyFindings> {
  const findings: SafetyFindings = { problems: [], warnings: [] };
  const info = parseInfo(await client.info());
  checkVersion(info, findings);
  checkLayout(await client.config('GET', 'maxmemory-policy').catch(() => null), info, findings);
  const setting = async (name: string) => valueOf(await client.config('GET', name).catch(() => null), name);
  const appendOnly = (await setting('appendonly')) ?? aofFromInfo(info);
  const fsync = await setting('appendfsync');
  if (appendOnly === undefined) {
    findings.warnings.push('It is unknown whether the append-only file is on: CONFIG and INFO do not say.');
  } else if (appendOnly !== 'yes' && durability === 'replica') {
    findings.warnings.push(
      'The append-only file is off: what is accepted is in the memory of two servers and on no disk.',
    );
  } else if (appendOnly !== 'yes') {
    findings.problems.push('The append-only file is off: set `appendonly yes`.');
  } else if (fsync === undefined) {
    findings.warnings.push('It is unknown how often the append-only file is fsynced: CONFIG is not allowed here.');
  } else if (fsync !== 'always' && durability === 'disk') {
    findings.problems.push(
      `Writes are fsynced \`${fsync}\`: set \`appendfsync always\`, or ACCEPT_DURABILITY=replica.`,
    );
  }
  if (durability === 'replica' && Number(info['connected_slaves'] ?? 0) < 1) {
    findings.problems.push('ACCEPT_DURABILITY=replica needs a connected replica, and there is none.');
  }
  return findings;
}

function checkVersion(info: Readonly<Record<string, string>>, { problems }: SafetyFindings): void {
  const version = info['valkey_version'] ?? info['redis_version'] ?? '';
  if (Number(version.split('.')[0]) < REDIS_VERSION_MIN) {
    problems.push(`Redis ${version} is too old: 7.0 or later is needed.`);
  }
}

function checkLayout(
  reply: unknown,
  info: Readonly<Record<string, string>>,
  { problems, warnings }: SafetyFindings,
): void {
  const policy = valueOf(reply, 'maxmemory-policy') ?? info['maxmemory_policy'];
  if (policy === undefined)
    warnings.push('It is unknown whether this Redis may evict keys: CONFIG and INFO do not say.');
  else if (policy !== 'noeviction') {
    problems.push(`This Redis may evict keys (\`${policy}\`): set \`maxmemory-policy noeviction\`.`);
  }
}

function aofFromInfo(info: Readonly<Record<string, string>>): string | undefined {
  const enabled = info['aof_enabled'];
  return enabled === undefined ? undefined : enabled === '1' ? 'yes' : 'no';
}

function valueOf(reply: unknown, name: string): string | undefined {
  if (!Array.isArray(reply)) return undefined;
  const at = reply.indexOf(name);
  return at < 0 ? undefined : String(reply[at + 1]);
}

/** INFO as a table. */
export function parseInfo(text: string): Record<string, string> {
  const table: Record<string, string> = {};
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0 && !line.startsWith('#')) table[line.slice(0, colon)] = line.slice(colon + 1);
  }
  return table;
}

import { defineCommand } from 'citty';
import type { ApiKeyRecord } from '../../record/index.ts';
import { CommandError, UsageError } from '../settings.ts';
import { commandActor, withRecord } from '../with-record.ts';
import { parseInteger } from './start.ts';
import { json } from '../common-args.ts';

const idArg = { type: 'positional', required: true, description: 'Id of the key; see: waxwing key list' } as const;

const create = defineCommand({
  meta: { name: 'create', description: 'Make a key and print it once' },
  args: {
    name: { type: 'positional', required: true, description: 'What it is for', valueHint: 'name' },
    tenant: { type: 'string', description: 'The tenant that it acts for', valueHint: 'id' },
    platform: { type: 'boolean', description: 'It acts for every tenant' },
  },
  async run({ args }) {
    if ((args.tenant === undefined) === (args.platform !== true)) {
      throw new UsageError('Say either --tenant ID or --platform.');
    }
    const made = await withRecord(async (record) => {
      const key = await record.apiKeys.create({ tenant: args.tenant ?? null, name: args.name });
      await record.audit.add({ actor: commandActor(), action: 'key.create', target: key.id, tenant: key.tenant });
      return key;
    });
    console.log(made.key);
    console.error(`Shown only here. Id for listing and revoking: ${made.id}`);
  },
});

const list = defineCommand({
  meta: { name: 'list', description: 'Show keys, never the keys themselves' },
  args: {
    tenant: { type: 'string', description: 'Of one tenant only', valueHint: 'id' },
    json,
  },
  async run({ args }) {
    const keys = await withRecord(async (record) => {
      const all: ApiKeyRecord[] = [];
      let cursor: string | undefined;
      do {
        const page = await record.apiKeys.list({ tenant: args.tenant, cursor, limit: 200 });
        all.push(...page.items);
        cursor = page.next ?? undefined;
      } while (cursor !== undefined);
      return all;
    });
    if (args.json) console.log(JSON.stringify(keys.map(asJson), null, 2));
    else if (keys.length > 0) console.log(keys.map(asLine).join('\n'));
    else console.log(args.tenant === undefined ? 'There are no keys but WAXWING_API_KEY.' : 'This tenant has no keys.');
  },
});

const rotate = defineCommand({
  meta: { name: 'rotate', description: 'Make a successor and print it once; the old key ends after the overlap' },
  args: {
    id: idArg,
    hours: { type: 'string', default: '24', description: 'Hours that both work, 0 to 720', valueHint: 'hours' },
  },
  async run({ args }) {
    const hours = parseInteger(args.hours, 'hours', 0, 720);
    const rotated = await withRecord(async (record) => {
      const done = await record.apiKeys.rotate(args.id, hours * 3600_000);
      if (done === null) throw new CommandError('There is no such key, or it has ended; see: waxwing key list');
      const { id, tenant } = done.old;
      const detail = { successor: done.made.id, overlapHours: hours };
      await record.audit.add({ actor: commandActor(), action: 'key.rotate', target: id, tenant, detail });
      return done;
    });
    console.log(rotated.made.key);
    console.error(`Shown only here. Its id: ${rotated.made.id}. The old key ends in ${hours} h.`);
  },
});

const revoke = defineCommand({
  meta: { name: 'revoke', description: 'End a key within five seconds' },
  args: { id: idArg },
  async run({ args }) {
    await withRecord(async (record) => {
      const revoked = await record.apiKeys.revoke(args.id);
      if (revoked === null) throw new CommandError('There is no such key; see: waxwing key list');
      const { id, tenant } = revoked;
      await record.audit.add({ actor: commandActor(), action: 'key.revoke', target: id, tenant });
    });
    console.log('The key has ended.');
  },
});

export const key = defineCommand({
  meta: { name: 'key', description: 'API keys of tenants and of further backends' },
  subCommands: { create, list, rotate, revoke },
});

const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());

/** As the API shows a key. */
function asJson({ createdAtMs, lastUsedAtMs, expiresAtMs, revokedAtMs, ...key }: ApiKeyRecord) {
  return {
    ...key,
    createdAt: iso(createdAtMs),
    lastUsedAt: iso(lastUsedAtMs),
    expiresAt: iso(expiresAtMs),
    revokedAt: iso(revokedAtMs),
  };
}

function asLine({ id, tenant, name, prefix, ...times }: ApiKeyRecord): string {
  const ends = times.expiresAtMs === null ? '' : `, ends ${iso(times.expiresAtMs) ?? ''}`;
  const state =
    times.revokedAtMs === null
      ? `last used ${iso(times.lastUsedAtMs) ?? 'never'}${ends}`
      : `revoked ${iso(times.revokedAtMs) ?? ''}`;
  return `${id}  ${prefix}…  ${(tenant ?? '(platform)').padEnd(20)} ${name.padEnd(20)} ${state}`;
}

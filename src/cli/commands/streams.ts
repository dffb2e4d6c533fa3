import { type ArgsDef, type CommandDef, defineCommand } from 'citty';
import { resolveKeys } from '../../config/index.ts';
import { signJwt } from '../../http/index.ts';
import { jwtSettings } from '../../program/web.ts';
import { addressOf, ask, type Asked } from '../running.ts';
import { CommandError, settings } from '../settings.ts';
import { commandActor } from '../with-record.ts';
import { json, url } from '../common-args.ts';

const scope = {
  shard: { type: 'string', description: 'A shard number, or all (without it: all)', valueHint: 'shard' },
  sender: { type: 'string', description: 'Only what goes through this sender', valueHint: 'id' },
  url,
  json,
} satisfies ArgsDef as ArgsDef;
const confirm = {
  confirm: {
    type: 'string',
    description:
      'The same as --shard (all without it), to say that this is meant; without it only tells what it would do',
    valueHint: 'shard',
  },
} satisfies ArgsDef as ArgsDef;

interface Given {
  readonly shard?: string | undefined;
  readonly sender?: string | undefined;
  readonly confirm?: string | undefined;
  readonly url?: string | undefined;
  readonly json?: boolean | undefined;
}

function isJson({ json }: Given): boolean {
  return json === true;
}

async function call<T>(
  method: NonNullable<Asked['method']>,
  act: string,
  { shard, sender, confirm: word, url }: Given,
): Promise<T> {
  const config = settings();
  const keys = await resolveKeys(config);
  const jwt = { role: 'admin', name: commandActor(), lifetimeSeconds: 300 } as const;
  const credential = await signJwt(jwt, jwtSettings(config, keys));
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ shard, sender, confirm: word }))
    if (value !== undefined) query.set(name, value);
  const asked = { method, path: `/admin/streams/${act}?${query.toString()}` };
  return await ask<T>({ url: addressOf(config, url), credential }, asked).catch((error: unknown) => {
    // The route speaks of its own parameter.
    if (error instanceof CommandError) throw new CommandError(error.message.replace(/\bconfirm=/, '--confirm '));
    throw error;
  });
}

interface Health {
  readonly status: string;
  readonly dlq_depth: number | null;
  readonly shards: readonly {
    readonly shard: number;
    readonly status: string;
    readonly queue_depth: number;
    readonly consumers_count: number;
    readonly pending: number;
    readonly last_delivered_id: string;
    readonly backlog: number;
  }[];
}

const health = defineCommand({
  meta: { name: 'health', description: 'How the hand-over streams are' },
  args: scope,
  async run({ args }) {
    const found = await call<Health>('GET', 'health', args as Given);
    console.log(isJson(args as Given) ? JSON.stringify(found) : report(found));
    return found.status === 'degraded' ? 1 : 0;
  },
});

function report({ status, dlq_depth: letters, shards }: Health): string {
  const lines = shards.map(
    (one) =>
      `  shard ${one.shard}  ${one.status}  backlog ${one.backlog}  pending ${one.pending}  waiting ${one.queue_depth}  workers ${one.consumers_count}  last ${one.last_delivered_id}`,
  );
  return [`${status}; dead letters: ${letters ?? 'unknown, the record is away'}`, ...lines].join('\n');
}

function shown(value: unknown): string {
  return Array.isArray(value) ? value.join(' ') || 'none' : String(value);
}

/** One act as a sub-command. */
function act(name: string, method: 'POST' | 'DELETE', description: string, isDiscarding: boolean): CommandDef {
  return defineCommand({
    meta: { name, description },
    args: { ...scope, ...(isDiscarding ? confirm : {}) },
    async run({ args }) {
      const done = await call<Record<string, unknown>>(method, name, args as Given);
      if (isJson(args as Given)) console.log(JSON.stringify(done));
      else
        console.log(
          Object.entries(done)
            .map(([word, value]) => `${word} ${shown(value)}`)
            .join(', '),
        );
    },
  });
}

export const streams = defineCommand({
  meta: { name: 'streams', description: 'Look after the hand-over streams of the send engine' },
  subCommands: {
    health,
    'reset-to-latest': act('reset-to-latest', 'POST', 'Skip the backlog: all that is unsent becomes cancelled', true),
    'reset-to-begin': act('reset-to-begin', 'POST', 'Try at once what waits after an attempt', true),
    'destroy-recreate': act('destroy-recreate', 'DELETE', 'Build stream and consumer group anew', true),
    'claim-pending-to-worker': act('claim-pending-to-worker', 'POST', 'Take over what dead workers hold', false),
  },
});

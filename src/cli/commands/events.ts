import { defineCommand } from 'citty';
import { adminClient } from '../admin-client.ts';
import { UsageError } from '../settings.ts';
import { given, json, tellOfMore, url } from '../common-args.ts';

const filters = {
  state: { type: 'string', description: 'pending, delivered or dead', valueHint: 'state' },
  tenant: { type: 'string', description: 'Only of this tenant', valueHint: 'id' },
  endpoint: { type: 'string', description: "'*' for EVENTS_URL, or a tenant with its own address", valueHint: 'id' },
  type: { type: 'string', description: 'Only of this type, such as message.received', valueHint: 'type' },
  conversation: { type: 'string', description: 'Only of this conversation', valueHint: 'id' },
  from: { type: 'string', description: 'Written at or after, ISO 8601', valueHint: 'time' },
  to: { type: 'string', description: 'Written before, ISO 8601', valueHint: 'time' },
} as const;

interface EventLine {
  readonly id: string;
  readonly createdAt: string;
  readonly endpoint: string;
  readonly type: string;
  readonly state: string;
  readonly attempts: number;
  readonly lastError: string | null;
}

const list = defineCommand({
  meta: { name: 'list', description: 'List events to products, newest first' },
  args: {
    ...filters,
    limit: { type: 'string', default: '50', description: 'At most so many, 1 to 200', valueHint: 'number' },
    url,
    json,
  },
  async run({ args }) {
    const client = await adminClient(args.url);
    const page = (await client.get('/admin/events', { ...given(filters, args), limit: args.limit })) as {
      items: EventLine[];
      next: string | null;
    };
    if (args.json) console.log(JSON.stringify(page));
    else if (page.items.length === 0) console.log('No events.');
    else for (const event of page.items) console.log(line(event));
    if (!args.json) tellOfMore(page);
  },
});

function line({ createdAt, id, type, state, attempts, endpoint, lastError }: EventLine): string {
  return `${createdAt}  ${id}  ${type.padEnd(18)}  ${`${state} (${attempts})`.padEnd(13)}  ${endpoint}  ${lastError ?? ''}`.trimEnd();
}

const endpoints = defineCommand({
  meta: { name: 'endpoints', description: 'List receivers of events and how they are' },
  args: { url, json },
  async run({ args }) {
    const client = await adminClient(args.url);
    const { items } = (await client.get('/admin/events/endpoints')) as {
      items: {
        id: string;
        host: string | null;
        disabled: boolean;
        failingSince: string | null;
        pending: number;
        dead: number;
      }[];
    };
    if (args.json) console.log(JSON.stringify({ items }));
    else if (items.length === 0) console.log('No receivers: set EVENTS_URL, or eventsUrl of a tenant.');
    for (const one of args.json === true ? [] : items) {
      const how = one.disabled ? 'disabled' : one.failingSince === null ? 'well' : `failing since ${one.failingSince}`;
      console.log(`${one.id}  ${one.host ?? ''}  ${how}  pending ${one.pending}, dead ${one.dead}`);
    }
  },
});

/** A dry run unless --yes is given, so that a filter is looked at before it acts. */
const replay = defineCommand({
  meta: { name: 'replay', description: 'Send events again, with the same ids' },
  args: {
    id: { type: 'positional', required: false, description: "The event's id; without it the filters choose" },
    ...filters,
    yes: { type: 'boolean', description: 'Do it; without it only count' },
    url,
    json,
  },
  async run({ args }) {
    const filter = given(filters, args);
    if (args.id === undefined && Object.keys(filter).length === 0) {
      throw new UsageError('Give an id, or a filter such as --state dead.');
    }
    const client = await adminClient(args.url);
    const report = (await client.post('/admin/events/replay', {
      ...filter,
      ...(args.id === undefined ? {} : { ids: [args.id] }),
      dryRun: args.yes !== true,
    })) as { found: number; replayed: number; dryRun: boolean };
    if (args.json) console.log(JSON.stringify(report));
    else if (report.dryRun) console.log(`${eventsOf(report.found)} would be sent again. Do it with --yes.`);
    else console.log(`Sent again: ${eventsOf(report.replayed)}.`);
  },
});

const eventsOf = (count: number) => (count === 1 ? '1 event' : `${count} events`);

export const events = defineCommand({
  meta: { name: 'events', description: 'Look after events to products' },
  subCommands: { list, endpoints, replay },
});

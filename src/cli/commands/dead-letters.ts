import { defineCommand } from 'citty';
import { adminClient } from '../admin-client.ts';
import { UsageError } from '../settings.ts';
import { given, json, tellOfMore, url } from '../common-args.ts';

const reveal = {
  type: 'boolean',
  description: 'With texts and whole numbers; the audit says so. Without it they are masked',
} as const;
/** Asks as an admin only where that is needed. */
const asks = (isRevealed: boolean | undefined) =>
  isRevealed === true ? ({ role: 'admin', query: { reveal: 'true' } } as const) : { role: undefined, query: {} };
const filters = {
  tenant: { type: 'string', description: 'Only of this tenant', valueHint: 'id' },
  sender: { type: 'string', description: 'Only of this sender', valueHint: 'id' },
  code: { type: 'string', description: 'Only with this code, such as 131026', valueHint: 'code' },
  from: { type: 'string', description: 'Dead at or after, ISO 8601', valueHint: 'time' },
  to: { type: 'string', description: 'Dead before, ISO 8601', valueHint: 'time' },
} as const;

interface Letter {
  readonly id: string;
  readonly tenant: string;
  readonly sender: string;
  readonly code: string;
  readonly held: boolean;
  readonly deadAt: string;
}

const list = defineCommand({
  meta: { name: 'list', description: 'List dead letters, newest first' },
  args: {
    ...filters,
    limit: { type: 'string', default: '50', description: 'At most so many, 1 to 200', valueHint: 'number' },
    url,
    json,
  },
  async run({ args }) {
    const client = await adminClient(args.url);
    const page = (await client.get('/admin/dead-letters', { ...given(filters, args), limit: args.limit })) as {
      items: Letter[];
      next: string | null;
    };
    if (args.json) console.log(JSON.stringify(page));
    else if (page.items.length === 0) console.log('No dead letters.');
    else for (const letter of page.items) console.log(line(letter));
    if (!args.json) tellOfMore(page);
  },
});

function line({ id, deadAt, tenant, sender, code, held }: Letter): string {
  return `${deadAt}  ${id}  ${code}${held ? ' (held: outcome unknown)' : ''}  ${tenant}  ${sender}`;
}

const show = defineCommand({
  meta: { name: 'show', description: 'Show one with its attempts and what to do' },
  args: { id: { type: 'positional', required: true, description: "The message's id" }, reveal, url, json },
  async run({ args }) {
    const { role, query } = asks(args.reveal);
    const client = await adminClient(args.url, role);
    const letter = (await client.get(`/admin/dead-letters/${encodeURIComponent(args.id)}`, query)) as Letter & {
      to: string;
      type: string;
      content: unknown;
      attempts: { attempt: number; startedAt: string; outcome: string; httpStatus: number | null }[];
      advice: { title: string; meaning: string; personShould: string };
    };
    if (args.json) {
      console.log(JSON.stringify(letter));
      return;
    }
    const attempts = letter.attempts.map(
      ({ attempt, startedAt, outcome, httpStatus }) => `  ${attempt}. ${startedAt}  ${outcome}  ${httpStatus ?? ''}`,
    );
    const { title, meaning, personShould } = letter.advice;
    const content = `  to ${letter.to}, ${letter.type} ${JSON.stringify(letter.content)}`;
    console.log([line(letter), content, ...attempts, '', title, meaning, personShould].join('\n'));
  },
});

interface Report {
  readonly sentence: string;
  readonly affected: number;
  readonly matched: number;
  readonly next: string | null;
  readonly items: readonly {
    readonly id: string;
    readonly result: 'would' | 'done' | 'skipped';
    readonly sentence: string | null;
  }[];
}

function itemLine(word: 'redrive' | 'discard', { id, result, sentence }: Report['items'][number]): string {
  const done = word === 'redrive' ? 'redriven' : 'discarded';
  const words = { would: `would be ${done}`, done, skipped: 'skipped' }[result];
  return `${id}  ${words}  ${sentence ?? ''}`.trimEnd();
}

/** `redrive` and `discard`: a dry run unless --yes is given, so that a filter is looked at before it acts. */
function act(word: 'redrive' | 'discard', description: string) {
  return defineCommand({
    meta: { name: word, description },
    args: {
      id: { type: 'positional', required: false, description: "The message's id; without it the filters choose" },
      ...filters,
      all: { type: 'boolean', description: 'Every dead letter, where no filter is given' },
      yes: { type: 'boolean', description: 'Do it; without it only say what would be done' },
      url,
      json,
    },
    async run({ args }) {
      const filter = given(filters, args);
      const { id } = args;
      if (id === undefined && Object.keys(filter).length === 0 && args.all !== true) {
        throw new UsageError('Give an id, a filter such as --code 131026, or --all.');
      }
      const client = await adminClient(args.url);
      let after: string | undefined;
      const totals = { affected: 0, matched: 0 };
      // One call takes 1,000. A dry run shows the first of them and how many there are.
      do {
        const selection = id === undefined ? { filter, after } : { ids: [id] };
        const dryRun = args.yes !== true;
        const report = (await client.post(`/admin/dead-letters/${word}`, { ...selection, dryRun })) as Report;
        if (args.json) console.log(JSON.stringify(report));
        else for (const item of report.items) console.log(itemLine(word, item));
        totals.affected += report.affected;
        totals.matched = Math.max(totals.matched, report.matched);
        if (!args.json && report.next === null && after === undefined) console.log(report.sentence);
        if (!args.json && report.next !== null && dryRun) console.log(`And more: ${report.matched} match in all.`);
        after = dryRun ? undefined : (report.next ?? undefined);
        if (!args.json && after === undefined && totals.affected > report.affected)
          console.log(`${totals.affected} of ${totals.matched} were ${word === 'redrive' ? 'redriven' : 'discarded'}.`);
      } while (after !== undefined);
      if (!args.json && args.yes !== true && totals.matched > 0) console.log('Nothing was done. Do it with --yes.');
    },
  });
}

const exportAll = defineCommand({
  meta: { name: 'export', description: 'Write all to stdout, one JSON object per line' },
  args: { ...filters, reveal, url },
  async run({ args }) {
    const { role, query } = asks(args.reveal);
    const client = await adminClient(args.url, role);
    for await (const part of await client.stream('/admin/dead-letters/export', { ...given(filters, args), ...query })) {
      process.stdout.write(part);
    }
  },
});

export const deadLetters = defineCommand({
  meta: { name: 'dead-letters', description: 'Messages that will not be tried again unless a person acts' },
  subCommands: {
    list,
    show,
    redrive: act('redrive', 'Send dead letters again'),
    discard: act('discard', 'Give dead letters up for good'),
    export: exportAll,
  },
});

import { defineCommand } from 'citty';
import { adminClient } from '../admin-client.ts';
import { json, tellOfMore, url } from '../common-args.ts';

interface Failure {
  readonly id: string;
  readonly status: string;
  readonly errorCode: string | null;
  readonly attemptCount: number;
  readonly nextRetryAt: string | null;
  readonly createdAt: string;
}

const list = defineCommand({
  meta: { name: 'list', description: 'List the failure record, newest first' },
  args: {
    status: { type: 'string', description: 'PENDING | RESOLVED | FAILED', valueHint: 'state' },
    tenant: { type: 'string', description: 'Only of this tenant', valueHint: 'id' },
    code: { type: 'string', description: 'Only with this code', valueHint: 'code' },
    limit: { type: 'string', default: '50', description: 'At most so many, 1 to 200', valueHint: 'number' },
    url,
    json,
  },
  async run({ args }) {
    const client = await adminClient(args.url);
    const { status, tenant, code, limit } = args;
    const page = (await client.get('/admin/failures', { status, tenant, code, limit })) as {
      items: Failure[];
      next: string | null;
    };
    if (args.json) console.log(JSON.stringify(page));
    else if (page.items.length === 0) console.log('No failures.');
    else for (const item of page.items) console.log(lineOf(item));
    if (!args.json) tellOfMore(page);
  },
});

function lineOf({ id, status, errorCode, attemptCount, nextRetryAt, createdAt }: Failure): string {
  const next = nextRetryAt === null ? '' : `  next ${nextRetryAt}`;
  return `${createdAt}  ${id}  ${status.padEnd(8)}  ${errorCode ?? ''}  ${attemptCount}×${next}`;
}

export const failures = defineCommand({
  meta: { name: 'failures', description: 'What failed, and what waits for a slow retry' },
  subCommands: { list },
});

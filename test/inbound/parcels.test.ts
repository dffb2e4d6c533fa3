import { describe, expect, onTestFinished, test } from 'vitest';
import {
  createJobWriter,
  type KeptWebhookJob,
  type ParcelJob,
  type ParcelWebhook,
  PARCEL_MAX,
  withParcels,
} from '../../src/inbound/index.ts';
import { type AddedJob, JobLater, type QueueService } from '../../src/jobs/index.ts';
import { maskData } from '../../src/http/mask.ts';
import { newId } from '../../src/util/ids.ts';
import { openGate } from '../record/support/gate.ts';
import { sql } from '../support/postgres.ts';
import { eventually, testDatabase, testRedis } from '../support/services.ts';
import { cloudBody, cloudMessage } from './support/cloud.ts';
import { openRoom, roomOfFile } from './support/room.ts';

function webhook(payload: string, priority = 5): ParcelWebhook {
  const job: KeptWebhookJob = {
    salonId: '',
    payload,
    encoding: 'utf8',
    receivedAt: new Date().toISOString(),
    provider: 'cloud',
    sender: null,
    headers: {},
    covers: null,
    hasStatuses: true,
    isReplay: false,
  };
  return { id: newId(), job, priority };
}

type Added = Parameters<QueueService['addJobs']>[1][number];

/** A queue that only remembers what it was given. */
function listening(): { readonly trips: Added[][]; readonly queues: Pick<QueueService, 'addJobs'> } {
  const trips: Added[][] = [];
  const queues: Pick<QueueService, 'addJobs'> = {
    addJobs(_queue, jobs) {
      trips.push([...jobs]);
      return Promise.resolve(jobs.map((): AddedJob => ({ id: '', queue: '' })));
    },
  };
  return { trips, queues };
}

const inParcel = ({ data }: Added) => ('parcel' in data ? (data as unknown as ParcelJob).parcel.length : 1);

describe('P1 · webhooks of one moment share a job', () => {
  test('one that comes alone has a job of its own, under its own id', async () => {
    const { trips, queues } = listening();
    const one = webhook('{}');
    await createJobWriter(queues)(one);
    expect(trips).toEqual([[{ data: one.job, priority: 5, options: { jobId: one.id } }]]);
  });

  test('those of one turn travel together, by priority and in their order; a large one has its own job', async () => {
    const { trips, queues } = listening();
    const write = createJobWriter(queues);
    const all = [
      ...Array.from({ length: PARCEL_MAX + 5 }, () => webhook('{}')),
      webhook('{}', 10),
      webhook('x'.repeat(20_000)),
    ];
    await Promise.all(all.map(write));
    expect(trips).toHaveLength(1);
    expect(trips[0]?.map((job) => [job.priority, inParcel(job)])).toEqual([
      [5, PARCEL_MAX],
      [5, 5],
      [10, 1],
      [5, 1],
    ]);
    const sent = trips[0]?.flatMap(({ data }) => ('parcel' in data ? (data as unknown as ParcelJob).parcel : []));
    expect(sent?.map(({ id }) => id)).toEqual(all.slice(0, PARCEL_MAX + 5).map(({ id }) => id));
  });

  test('a trip that fails is told to every webhook of it, and the next one goes', async () => {
    let isAway = true;
    const write = createJobWriter({
      addJobs: () => (isAway ? Promise.reject(new Error('away')) : Promise.resolve([])),
    });
    const results = await Promise.allSettled([write(webhook('{}')), write(webhook('{}'))]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    isAway = false;
    await write(webhook('{}'));
  });
});

describe('the work on a parcel', () => {
  const nothing = { messages: 1, duplicates: 0, statuses: 0, events: 0, broken: 0 };
  const parcel = [webhook('good'), webhook('bad'), webhook('fine')];
  const context = (isTakenOver: boolean) => ({
    id: parcel[0]?.id ?? '',
    data: { salonId: '', payload: null, receivedAt: new Date().toISOString(), parcel } as ParcelJob,
    attempt: 1,
    attemptsMax: 3,
    isTakenOver,
  });

  test('a webhook that fails gets a job of its own, the others are done', async () => {
    const { trips, queues } = listening();
    const work = withParcels(
      ({ data }) => (data.payload === 'bad' ? Promise.reject(new Error('poison')) : Promise.resolve(nothing)),
      queues,
    );
    expect(await work(context(false))).toMatchObject({ messages: 2, webhooks: 3, again: 1 });
    expect(trips.flat().map(({ options }) => options?.jobId)).toEqual([parcel[1]?.id]);
  });

  test('F38 · while a server is away it waits as a whole', async () => {
    const { trips, queues } = listening();
    const work = withParcels(() => Promise.reject(new JobLater(1)), queues);
    await expect(work(context(false))).rejects.toBeInstanceOf(JobLater);
    expect(trips).toEqual([]);
  });

  test('a parcel whose worker vanished is opened, so that a webhook that kills stands alone', async () => {
    const { trips, queues } = listening();
    let worked = 0;
    const work = withParcels(() => {
      worked += 1;
      return Promise.resolve(nothing);
    }, queues);
    await work(context(true));
    expect(worked).toBe(0);
    expect(trips.flat().map(({ options, data }) => [options?.jobId, (data as KeptWebhookJob).webhookId])).toEqual([
      [`${parcel[0]?.id}-again`, parcel[0]?.id],
      [parcel[1]?.id, parcel[1]?.id],
      [parcel[2]?.id, parcel[2]?.id],
    ]);
  });
});

test('Q8 · the board shows what a parcel holds, without numbers and texts of people', () => {
  const body = cloudBody({ messages: [cloudMessage({ text: { body: 'My secret' } })] });
  const one = webhook(body);
  const data = { salonId: '', payload: null, receivedAt: one.job.receivedAt, parcel: [one, webhook(body)] };
  const shown = JSON.stringify(maskData(data));
  expect(shown).toContain(one.id);
  expect(shown).toContain('"provider":"cloud"');
  expect(shown).not.toMatch(/15112345678|My secret/);
});

describe('on a real queue', async () => {
  const { url, room } = await roomOfFile();

  test('P1 · Q3 · of a parcel with one that nobody can read all others are recorded, and it alone is shown as failed', async () => {
    const write = createJobWriter(room.queues);
    const readable = Array.from({ length: 12 }, () => webhook(cloudBody({ messages: [cloudMessage()] })));
    const broken = webhook('{"entry":[');
    await Promise.all([...readable.slice(0, 6), broken, ...readable.slice(6)].map(write));
    await eventually(async () => (await sql(url, 'select 1 from inbound_messages')).length === 12, {
      timeoutMs: 10_000,
    });
    await eventually(async () => (await room.queues.getQueueStats('webhook')).failed === 1);
    const [failed] = await room.queues.bullQueue('webhook').getFailed();
    expect(failed?.id).toBe(broken.id);
    expect(await room.queues.getQueueStats('webhook')).toMatchObject({ completed: 1, failed: 1 });
    // One conversation: in the order in which they came.
    const texts = await sql<{ provider_message_id: string }>(
      url,
      'select provider_message_id from inbound_messages join conversation_events on message_id = id order by seq',
    );
    const ids = readable.map(({ job }) => /wamid[^"]+/.exec(String(job.payload))?.[0]);
    expect(texts.map((row) => row.provider_message_id)).toEqual(ids);
    expect(await sql(url, 'select 1 from raw_webhooks where processed_at is not null')).toHaveLength(12);
  });
});

test('F38 · P9 · parcels while PostgreSQL goes away and comes back: none lost, none doubled', async () => {
  const { url } = await testDatabase();
  const gate = await openGate(url);
  const room = await openRoom({ redisUrl: (await testRedis()).url, databaseUrl: gate.url });
  onTestFinished(async () => {
    await room.close();
    await gate.close();
  });
  const body = (index: number) => cloudBody({ messages: [cloudMessage({ from: `49171000000${index % 50}` })] });
  const post = (count: number) => Promise.all(Array.from({ length: count }, (_, index) => room.post(body(index))));
  const count = async (table: string) => (await sql(url, `select 1 from ${table}`)).length;
  await post(200);
  await eventually(async () => (await count('inbound_messages')) > 20, { timeoutMs: 10_000 });
  await gate.shut();
  await post(200);
  await gate.open();
  await eventually(async () => (await count('inbound_messages')) === 400, { timeoutMs: 30_000 });
  await eventually(
    async () => {
      const { waiting, active, delayed } = await room.queues.getQueueDetail('webhook');
      return waiting + active + delayed === 0;
    },
    { timeoutMs: 30_000 },
  );
  expect(await count('conversation_events')).toBe(400);
  expect(await room.queues.getQueueStats('webhook')).toMatchObject({ failed: 0 });
  const [sum] = await sql<{ n: number }>(url, 'select sum(messages_in)::integer as n from conversations');
  expect(sum?.n).toBe(400);
}, 90_000);

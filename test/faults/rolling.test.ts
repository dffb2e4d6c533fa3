import { Agent, request } from 'undici';
import { afterAll, expect } from 'vitest';
import { openBalancer } from '../support/balancer.ts';
import { withPostgres } from '../support/postgres.ts';
import { eventually, testDatabase } from '../support/services.ts';
import { faultTest } from './harness/fault-test.ts';
import type { Accept } from './harness/load.ts';
import { spread } from './harness/measure.ts';
import { API_KEY, Program, settingsFor, tellByWebhook } from './harness/program.ts';
import { scaled } from './harness/settings.ts';

/*
 * A new version is put in place while everybody goes on: two web processes behind a load balancer that repeats nothing,
 * two workers, and clients that keep their connections. Each process is ended by SIGTERM and started again in its place.
 */

const RATE = 40;

/** As a customer's backend does: connections are kept, and what fails is counted, not hidden. */
const clients = new Agent({ connections: 32, keepAliveTimeout: 60_000 });
afterAll(() => clients.close());

faultTest(
  'F07-rolling',
  'every process restarted in turn behind a load balancer: no request fails, nothing lost, nothing twice, nothing ambiguous',
  {
    senders: ['default'],
    workers: 0,
    isRecorded: true,
    plan: { latencyMs: [50, 100], statuses: { delayMs: 150, copies: 1 } },
  },
  async (world, report) => {
    const database = await testDatabase();
    const settings = {
      ...settingsFor(world, database.url),
      SHUTDOWN_GRACE_MS: '20000',
      SHUTDOWN_DRAIN_MS: '3000',
      // A provider that is slow because the machine is busy would be ambiguous, too, and is not meant here.
      PROVIDER_TIMEOUT_MS: '10000',
    };
    const start = async (role: 'web' | 'worker') => world.owns(await Program.start(role, settings));
    const balancer = await openBalancer();
    const [webA, webB, workerA, workerB] = await Promise.all([
      start('web'),
      start('web'),
      start('worker'),
      start('worker'),
    ]);
    const webs = [webA, webB];
    const workers = [workerA, workerB];
    for (const { url } of webs) {
      balancer.add(url);
      await balancer.serves(url, true);
    }

    const failed: string[] = [];
    const counts = { accepts: 0, reads: 0, webhooks: 0 };
    const ask = async (method: 'GET' | 'POST', path: string, body?: unknown, key?: string) => {
      const headers = {
        authorization: `Bearer ${API_KEY}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(key === undefined ? {} : { 'idempotency-key': key }),
      };
      const text = body === undefined ? null : JSON.stringify(body);
      try {
        const answer = await request(`${balancer.url}${path}`, { method, headers, body: text, dispatcher: clients });
        return { status: answer.statusCode, body: (await answer.body.json()) as { readonly id: string } };
      } catch (error) {
        return { status: 0, body: { id: String(error) } };
      }
    };
    const accept: Accept = async ({ op, tenant, contact, conversation, priority }) => {
      const message = { tenant, to: contact, conversation, priority, type: 'text', text: { body: op } };
      const { status, body } = await ask('POST', '/v1/messages', message, op);
      counts.accepts += 1;
      if (status !== 202) {
        failed.push(`accept ${status}`);
        return { kind: 'again' };
      }
      counts.reads += 1;
      const read = await ask('GET', `/v1/messages/${body.id}?tenant=${tenant}`);
      if (read.status !== 200 || read.body.id !== body.id) failed.push(`read ${read.status}`);
      return { kind: 'ok', id: body.id };
    };
    world.tellStatus = async (tag, wamid) => {
      counts.webhooks += 1;
      const isHeard = await tellByWebhook(balancer.url, tag, wamid);
      if (!isHeard) failed.push('webhook');
      return isHeard;
    };

    const load = world.load({ name: 'a', conversations: 200 }, accept);
    load.start(RATE);
    const drains: number[] = [];
    const codes: (number | null)[] = [];
    const rounds = scaled(5, 1);
    for (let round = 0; round < rounds; round += 1) {
      for (const [role, list] of [
        ['worker', workers],
        ['web', webs],
        ['worker', workers],
        ['web', webs],
      ] as const) {
        const old = list.shift();
        const { code, ms } = (await old?.stop()) ?? { code: null, ms: 0 };
        drains.push(ms);
        codes.push(code);
        const fresh = await start(role);
        list.push(fresh);
        if (role === 'worker' || old === undefined) continue;
        balancer.remove(old.url);
        balancer.add(fresh.url);
        await balancer.serves(fresh.url, true);
      }
    }
    await load.stop();
    await world.recover();
    report('restarts', codes.length);
    report('stop ms p50/p99/max', spread(drains));
    report('requests', counts.accepts + counts.reads + counts.webhooks);
    report('failed requests', failed.length);
    const record = await readRecord(database.url, load.ops.length);
    report('ambiguous', record.unknown);
    report('in the record', record.messages);
    return (verdict) => {
      expect(failed, balancer.broken.join(', ')).toEqual([]);
      expect(codes.every((code) => code === 0)).toBe(true);
      expect(verdict.takenMax).toBe(1);
      expect(record).toEqual({ messages: load.ops.length, told: load.ops.length, unknown: 0 });
    };
  },
);

/** What the record has when it has caught up. */
async function readRecord(url: string, messages: number) {
  return await withPostgres(url, async (client) => {
    const read = async () => {
      const { rows } = await client.query<{ messages: number; told: number; unknown: number }>(`
        select (select count(*)::int from messages) as messages,
               (select count(*)::int from messages where status = 'sent') as told,
               (select count(*)::int from message_events where event = 'unknown') as unknown`);
      const { rows: why } = await client.query(`
        select a.* from attempts a join message_events e on e.message_id = a.message_id where e.event = 'unknown'`);
      if (why.length > 0) console.log('ambiguous attempts', JSON.stringify(why));
      return rows[0] ?? { messages: 0, told: 0, unknown: 0 };
    };
    await eventually(async () => (await read()).told === messages, { timeoutMs: 30_000 }).catch(() => undefined);
    return await read();
  });
}

import { createHmac } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { EmbeddedServices } from '../../../src/embedded/index.ts';
import { cloudBody, cloudMessage } from '../../inbound/support/cloud.ts';
import { sql } from '../../support/postgres.ts';
import { eventually } from '../../support/eventually.ts';
import type { Load } from './load.ts';
import { acceptOver, APP_SECRET, Program, settingsFor } from './program.ts';
import { LinkProxy } from '../../support/link-proxy.ts';
import { seededRandom } from '../../support/random.ts';
import { faultSeed } from './settings.ts';
import type { World } from './world.ts';

/** A database of its own on that server, and the link through which the program sees it. */
async function database(
  world: World,
  server: EmbeddedServices,
): Promise<{ direct: string; through: string; link: LinkProxy }> {
  const admin = new URL(server.databaseUrl ?? '');
  const name = `fault_${world.seed}_${Math.floor(performance.now())}`;
  await sql(admin.href, `create database ${name}`);
  const direct = new URL(admin);
  direct.pathname = `/${name}`;
  const link = await LinkProxy.open(() => Number(admin.port), seededRandom(faultSeed));
  const through = new URL(direct);
  through.port = String(link.port);
  return { direct: direct.href, through: through.href, link };
}

/** Posts a message of a person as Meta does, again and again until it is heard. */
async function hear(url: string, n: number): Promise<number> {
  const body = cloudBody(
    { messages: [cloudMessage({ from: `49171${String(n % 50).padStart(8, '0')}` })] },
    'p-default',
  );
  const signature = `sha256=${createHmac('sha256', APP_SECRET).update(body).digest('hex')}`;
  const headers = { 'content-type': 'application/json', 'x-hub-signature-256': signature };
  for (let tries = 1; ; tries += 1) {
    const answer = await fetch(`${url}/webhooks/whatsapp/cloud`, { method: 'POST', headers, body }).catch(() => null);
    if (answer?.status === 200) return tries;
    await delay(100);
  }
}

const count = async (url: string, query: string): Promise<number> =>
  (await sql<{ n: number }>(url, `select count(*)::integer as n from ${query}`))[0]?.n ?? -1;

export interface Trouble {
  /** The record, past the link. */
  readonly direct: string;
  readonly link: LinkProxy;
  readonly program: Program;
  readonly load: Load;
}

/** Runs a load and incoming messages while `disturb` does its worst, and compares the record with both. */
export async function throughTrouble(
  world: World,
  server: EmbeddedServices,
  report: (name: string, value: string | number) => void,
  disturb: (at: Trouble) => Promise<void>,
) {
  const at = await database(world, server);
  const program = world.owns(await Program.start('all', settingsFor(world, at.through)));
  const first = world.load(
    { name: 'a', tenants: 1 },
    acceptOver(() => program.url),
  );
  // The tenant and the sender are known before PostgreSQL goes away: without them nobody could say who may send.
  await first.run(3);
  first.start(40);
  const speaking = { on: true };
  const heard: Promise<number>[] = [];
  const speak = (async () => {
    while (speaking.on) {
      heard.push(hear(program.url, heard.length));
      await delay(30);
    }
  })();
  await disturb({ ...at, program, load: first });
  speaking.on = false;
  await speak;
  await first.stop();
  const tries = await Promise.all(heard);
  await world.recover();
  const accepted = first.ops.filter(({ state }) => state === 'ok').length;
  const startMs = performance.now();
  const recorded = () => count(at.direct, `messages where status = 'sent'`).catch(() => -1);
  const came = () => count(at.direct, 'inbound_messages').catch(() => -1);
  await eventually(async () => (await recorded()) >= accepted && (await came()) >= heard.length, {
    timeoutMs: 60_000,
    what: 'the record to catch up',
  });
  report('record caught up ms', performance.now() - startMs);
  report('incoming', heard.length);
  report('incoming told again', tries.filter((one) => one > 1).length);
  const figures = { accepted, recorded: await recorded(), heard: heard.length, came: await came() };
  await program.stop();
  await at.link.close();
  return figures;
}

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { startEmbedded } from '../../src/embedded/index.ts';
import { signJwt } from '../../src/http/index.ts';
import { migrate } from '../../src/record/index.ts';

export interface Stage {
  readonly url: string;
  /** A viewer's. */
  readonly token: string;
  /** Messages in the queue, one for each tenant. */
  readonly queued: number;
  /** Accepts so many messages over HTTP. */
  accept(messages: number): Promise<void>;
  stop(): Promise<void>;
}

const root = fileURLToPath(new URL('../../', import.meta.url));
const SECRETS = {
  WAXWING_API_KEY: 'key-of-the-dashboard-bench',
  JWT_SECRET: 'jwt-secret-of-the-dashboard-bench',
  WAXWING_SECRET_KEY: 'secret-key-of-the-dashboard-bench',
};
const PIECE = 50_000;
const BATCH = 1000;

/** Servers of its own with a full record, the real web role before them, and a queue in which every tenant waits. */
export async function startStage(size: { readonly tenants: number; readonly messages: number }): Promise<Stage> {
  const dataDir = mkdtempSync(join(tmpdir(), 'waxwing-bench-dashboard-'));
  const embedded = await startEmbedded({ dataDir, redis: true, postgres: true });
  const { databaseUrl = '', redisUrl = '' } = embedded;
  const startMs = performance.now();
  await fill(databaseUrl, size);
  const seconds = (performance.now() - startMs) / 1000;
  console.log(`${size.messages} messages of ${size.tenants} tenants in the record, in ${seconds.toFixed(0)} s`);
  const web = await startWeb(databaseUrl, redisUrl, dataDir);
  let sent = 0;
  const accept = async (messages: number) => {
    const items = Array.from({ length: messages }, () => {
      const n = sent++;
      const to = `+4477009${String(n).padStart(5, '0')}`;
      return { tenant: `t${n % size.tenants}`, to, type: 'text', text: { body: 'In the queue.' } };
    });
    const response = await fetch(`${web.url}/v1/messages/batch`, {
      method: 'POST',
      headers: { authorization: `Bearer ${SECRETS.WAXWING_API_KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ messages: items }),
    });
    const { results } = (await response.json()) as { results: { id?: string }[] };
    if (results.some(({ id }) => id === undefined)) throw new Error(JSON.stringify(results.find(({ id }) => !id)));
  };
  for (let done = 0; done < size.tenants; done += BATCH) await accept(Math.min(BATCH, size.tenants - done));
  return {
    url: web.url,
    token: await signJwt(
      { role: 'viewer', name: 'bench', lifetimeSeconds: 7200 },
      { secret: SECRETS.JWT_SECRET, audience: undefined, issuer: undefined },
    ),
    queued: size.tenants,
    accept,
    async stop() {
      await web.stop();
      await embedded.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** Thirty days: nine of ten arrived, one of twenty failed and half of those are dead letters. */
async function fill(databaseUrl: string, size: { readonly tenants: number; readonly messages: number }): Promise<void> {
  await migrate(databaseUrl);
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query(
    `insert into tenants (id, name) select 't' || n, 'Tenant ' || n from generate_series(0, $1::int - 1) n`,
    [size.tenants],
  );
  for (let from = 0; from < size.messages; from += PIECE) {
    await client.query(
      `insert into messages (id, tenant, sender, conversation, alias, type, content, priority, engine_status,
         delivery_status, shard, seq, created_at, sent_at, error)
       select gen_random_uuid(), 't' || (n % $3::int), 'default', 'c' || (n % 99991), '+49' || n, 'text',
         '{"body":"Your table is ready."}', 5, case when n % 20 = 0 then 'failed' else 'sent' end,
         case when n % 20 = 0 then null when n % 3 = 0 then 'read' else 'delivered' end, 0, n, at,
         case when n % 20 = 0 then null else at + interval '1 second' end,
         case when n % 20 = 0 then '{"code":"PROVIDER_REJECTED","providerCode":"131026"}'::jsonb end
       from (select n, now() - (n::bigint * 7919 % 2592000) * interval '1 second' as at
             from generate_series($1::int, $2::int) n) made`,
      [from, Math.min(size.messages, from + PIECE) - 1, size.tenants],
    );
  }
  await client.query(
    `insert into dead_letters (message_id, tenant, sender, code, held, dead_at)
     select id, tenant, sender, '131026', false, created_at from messages
     where engine_status = 'failed' and seq % 40 = 0`,
  );
  await client.query('vacuum analyze');
  await client.end();
}

async function startWeb(databaseUrl: string, redisUrl: string, dataDir: string) {
  const environment = {
    ...process.env,
    ...SECRETS,
    ...{ DATABASE_URL: databaseUrl, REDIS_URL: redisUrl, PORT: '0', LOG_LEVEL: 'warn' },
    ...{ WAXWING_DATA_DIR: join(dataDir, 'web'), WHATSAPP_PHONE_NUMBER_ID: '1', WHATSAPP_ACCESS_TOKEN: 'token' },
  };
  const args = ['--import', 'tsx', join(root, 'src/cli/main.ts'), 'start', '--role', 'web'];
  const child = spawn(process.execPath, args, { cwd: root, env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const url = await new Promise<string>((resolve, reject) => {
    let said = '';
    child.stdout.on('data', (part: Buffer) => {
      said += part.toString();
      const found = /http:\/\/[\d.]+:\d+/.exec(said);
      if (found !== null) resolve(found[0]);
    });
    child.once('exit', (code) => reject(new Error(`The web role ended with ${String(code)}: ${said}`)));
  });
  return {
    url,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

import { spawn, type ChildProcess } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inject } from 'vitest';
import { identify, waitForEnd, type ProcessIdentity } from '../../../src/embedded/process-identity.ts';
import type { Accept, Op } from './load.ts';
import type { World } from './world.ts';

/* The product's own program, started as a person would start it, on the servers of a fault test. */

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
export const API_KEY = 'fault-test-platform-key-of-32-letters';
export const APP_SECRET = 'fault-test-app-secret';

export type Settings = Readonly<Record<string, string>>;

/** The parts of a world that settings name. */
type Served = {
  readonly redis: Pick<World['redis'], 'port'>;
  readonly provider: Pick<World['provider'], 'apiUrl'>;
  readonly bounds: Pick<
    World['bounds'],
    'tenantConcurrency' | 'senderConcurrency' | 'ratePerSecond' | 'burst' | 'pairGapMs'
  >;
};

/** Settings under which the program works in a world: the same limits, the fake provider, a data folder of its own. */
export function settingsFor(world: Served, databaseUrl: string, redisPort = world.redis.port): Settings {
  const { bounds } = world;
  return {
    HOST: '127.0.0.1',
    PORT: '0',
    LOG_LEVEL: 'warn',
    WAXWING_DATA_DIR: mkdtempSync(join(inject('waxwingRunFolder'), 'data-')),
    REDIS_URL: `redis://127.0.0.1:${redisPort}/0`,
    DATABASE_URL: databaseUrl,
    WAXWING_API_KEY: API_KEY,
    JWT_SECRET: 'fault-test-jwt-secret-of-thirty-two-letters',
    WAXWING_SECRET_KEY: 'fault-test-secret-key-of-thirty-two-letters',
    TENANT_CONCURRENCY: String(bounds.tenantConcurrency),
    SENDER_CONCURRENCY: String(bounds.senderConcurrency),
    SENDER_RATE_PER_SECOND: String(bounds.ratePerSecond),
    SENDER_BURST: String(bounds.burst),
    WHATSAPP_RATE_LIMIT_MS: String(bounds.pairGapMs),
    PAIR_BUCKET_CAPACITY: '0',
    PROVIDER_TIMEOUT_MS: '2000',
    AMBIGUOUS_WAIT_MS: '5000',
    SHUTDOWN_GRACE_MS: '10000',
    WHATSAPP_API_URL: world.provider.apiUrl,
    WHATSAPP_PHONE_NUMBER_ID: 'p-default',
    WHATSAPP_ACCESS_TOKEN: 'program/0',
    WHATSAPP_APP_SECRET: APP_SECRET,
  };
}

export class Program {
  readonly #child: ChildProcess;
  readonly #identity: ProcessIdentity;
  #output = '';
  /** Resolves with the exit code (null after a signal) and all that it said. */
  readonly ended: Promise<{ readonly code: number | null; readonly output: string }>;
  /** Where it listens; empty for a worker, and until it is ready. */
  url = '';

  private constructor(child: ChildProcess, identity: ProcessIdentity) {
    this.#child = child;
    this.#identity = identity;
    const record = join(inject('waxwingRunFolder'), `server-${identity.pid}.json`);
    writeFileSync(record, JSON.stringify(identity));
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => (this.#output += chunk.toString('utf8')));
    }
    this.ended = new Promise((resolve) => {
      child.once('close', (code) => {
        rmSync(record, { force: true });
        resolve({ code, output: this.#output });
      });
    });
  }

  /**
   * Starts it without waiting.
   * @param root folder of the sources; default = this version's
   */
  static launch(role: 'web' | 'worker' | 'all', settings: Settings, root = ROOT): Program {
    const child = spawn(process.execPath, ['--import', 'tsx', join(root, 'src/cli/main.ts'), 'start', '--role', role], {
      cwd: root,
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...settings },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const identity = child.pid === undefined ? undefined : identify(child.pid);
    if (identity === undefined) throw new Error('The program could not be started.');
    return new Program(child, identity);
  }

  static async start(role: 'web' | 'worker' | 'all', settings: Settings, root = ROOT): Promise<Program> {
    const program = Program.launch(role, settings, root);
    await program.#ready();
    return program;
  }

  get pid(): number {
    return this.#identity.pid;
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** All that it has said. */
  get output(): string {
    return this.#output;
  }

  async kill(): Promise<void> {
    if (!this.hasEnded) this.#child.kill('SIGKILL');
    if (!(await waitForEnd(this.#identity, 10_000))) throw new Error(`The program ${this.#identity.pid} does not end.`);
  }

  /** SIGTERM. @returns its exit code, and how long it took to finish what it had, ms */
  async stop(): Promise<{ readonly code: number | null; readonly ms: number }> {
    const startMs = performance.now();
    this.#child.kill('SIGTERM');
    const late = setTimeout(() => this.#child.kill('SIGKILL'), 30_000);
    const { code } = await this.ended;
    clearTimeout(late);
    return { code, ms: performance.now() - startMs };
  }

  async #ready(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const look = (): void => {
        const ready = /waxwing is ready[^\n]*?(?: on (http:\/\/[^\s]+))?(?:\s|$)[^\n]*\n/.exec(this.#output);
        if (ready === null) return;
        this.url = / on (http:\/\/\S+)/.exec(ready[0])?.[1] ?? '';
        finish();
        resolve();
      };
      const fail = (): void => {
        finish();
        reject(new Error(`The program ended or was silent before it was ready:\n${this.#output}`));
      };
      const timer = setTimeout(fail, 60_000);
      const finish = (): void => {
        clearTimeout(timer);
        this.#child.stdout?.off('data', look);
        this.#child.off('close', fail);
      };
      this.#child.stdout?.on('data', look);
      this.#child.once('close', fail);
    });
  }
}

/** One `POST /v1/messages`; null when the connection broke, so that nobody knows. */
export async function postMessage(
  url: string,
  op: Pick<Op, 'op' | 'conversation' | 'tenant' | 'contact' | 'priority'>,
  key: string,
): Promise<{ readonly status: number; readonly id: string; readonly code: string } | 'refused' | 'broken'> {
  const { tenant, contact, conversation, priority } = op;
  try {
    const answer = await fetch(`${url}/v1/messages`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${API_KEY}`,
        'content-type': 'application/json',
        'idempotency-key': key,
        connection: 'close',
      },
      body: JSON.stringify({ tenant, to: contact, conversation, priority, type: 'text', text: { body: op.op } }),
      signal: AbortSignal.timeout(20_000),
    });
    const body = (await answer.json()) as { readonly id?: string; readonly code?: string };
    return { status: answer.status, id: body.id ?? '', code: body.code ?? '' };
  } catch (error) {
    const { cause } = error as { readonly cause?: { readonly code?: string } };
    return cause?.code === 'ECONNREFUSED' ? 'refused' : 'broken';
  }
}

/** Accepts over HTTP. `onTrouble` hears of every answer but an accept, and of broken connections. */
export function acceptOver(urlOf: () => string, onTrouble: (what: string) => void = () => undefined): Accept {
  return async (op) => {
    const answer = await postMessage(urlOf(), op, op.op);
    if (typeof answer === 'string') {
      onTrouble(answer);
      return { kind: 'again' };
    }
    if (answer.status === 202 || answer.status === 200) return { kind: 'ok', id: answer.id };
    onTrouble(String(answer.status));
    return { kind: answer.status === 503 || answer.status === 429 ? 'again' : 'refused' };
  };
}

/** Tells a status as Meta does: a signed webhook, again and again until it is heard. */
export async function tellByWebhook(url: string, tag: string, wamid: string): Promise<boolean> {
  const status = {
    id: wamid,
    status: 'sent',
    timestamp: String(Math.floor(Date.now() / 1000)),
    recipient_id: '966500000000',
    biz_opaque_callback_data: tag,
  };
  const metadata = { display_phone_number: '966110000000', phone_number_id: 'p-default' };
  const value = { messaging_product: 'whatsapp', metadata, statuses: [status] };
  const body = JSON.stringify({
    object: 'whatsapp_business_account',
    entry: [{ id: '1', changes: [{ field: 'messages', value }] }],
  });
  const signature = `sha256=${createHmac('sha256', APP_SECRET).update(body).digest('hex')}`;
  const answer = await fetch(`${url}/webhooks/whatsapp/cloud`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-hub-signature-256': signature },
    body,
  }).catch(() => null);
  return answer?.status === 200;
}

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { endProcess, identify, isIdentity, isRunning } from '../../src/embedded/process-identity.ts';
import { startTemplateServer, type TemplateServer } from './template-database.ts';

/*
 * One folder per run holds everything that the run starts: `owner.json` says whose it is, and every server that a test
 * starts leaves `server-<pid>.json` in it. What is still there at the end is ended by its id. A run that was killed is
 * cleaned up by the next one.
 *
 * PostgreSQL is started by the first test that connects to the doorway: most single files need none.
 */

const PREFIX = 'waxwing-test-';

declare module 'vitest' {
  interface ProvidedContext {
    /** The run's folder. */
    waxwingRunFolder: string;
    /** The loopback port that answers with the JSON of a `TemplateAnswer`. */
    waxwingDatabaseDoorway: number;
  }
}

async function endServersOf(folder: string): Promise<void> {
  for (const name of readdirSync(folder)) {
    if (!name.startsWith('server-')) continue;
    const identity: unknown = JSON.parse(readFileSync(join(folder, name), 'utf8'));
    if (isIdentity(identity)) await endProcess(identity, 'SIGTERM', 5_000);
  }
}

async function sweepRunsOfTheDead(): Promise<void> {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(PREFIX)) continue;
    const folder = join(tmpdir(), name);
    try {
      const owner: unknown = JSON.parse(readFileSync(join(folder, 'owner.json'), 'utf8'));
      if (!isIdentity(owner) || isRunning(owner)) continue;
      await endServersOf(folder);
      rmSync(folder, { recursive: true, force: true });
    } catch {
      // Another user's, or just being made or removed.
    }
  }
}

/** Tests of pages that run by themselves (`npx vitest run …`) find the dashboard built too. */
async function buildPage(): Promise<void> {
  const { ensureDashboard } = (await import(new URL('../../scripts/dashboard.mjs', import.meta.url).href)) as {
    readonly ensureDashboard: () => Promise<void>;
  };
  await ensureDashboard();
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await sweepRunsOfTheDead();
  await buildPage();
  const folder = mkdtempSync(join(tmpdir(), PREFIX));
  writeFileSync(join(folder, 'owner.json'), JSON.stringify(identify(process.pid)));

  let started: Promise<TemplateServer> | undefined;
  const doorway: Server = createServer((socket) => {
    socket.on('error', () => undefined);
    started ??= startTemplateServer(join(folder, 'postgres'), process.env['DATABASE_URL']);
    started.then(
      ({ answer }) => socket.end(JSON.stringify(answer)),
      (error: unknown) => socket.end(JSON.stringify({ error: error instanceof Error ? error.message : String(error) })),
    );
  });
  const port = await new Promise<number>((resolve, reject) => {
    doorway.once('error', reject);
    doorway.listen(0, '127.0.0.1', () => {
      const address = doorway.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
  project.provide('waxwingRunFolder', folder);
  project.provide('waxwingDatabaseDoorway', port);

  return async () => {
    doorway.close();
    const server = await started?.catch(() => undefined);
    await server?.stop();
    await endServersOf(folder);
    rmSync(folder, { recursive: true, force: true });
  };
}

import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, inject, onTestFinished, test } from 'vitest';
import { startPostgres } from '../../src/embedded/postgres-server.ts';
import { canRead, serverUser } from '../../src/embedded/reach.ts';
import { sql } from '../support/postgres.ts';

const isRoot = process.getuid?.() === 0;
const closedFolder = (): string => mkdtempSync(join(inject('waxwingRunFolder'), 'place-'));

const answers = async (url: string): Promise<boolean> => (await sql(url, 'select 1')).length === 1;

test.runIf(isRoot)(
  'as root the server runs as another user, with its data under folders closed to that user',
  async () => {
    const folder = join(closedFolder(), 'postgres');
    const server = await startPostgres({ folder, isDurable: false });
    onTestFinished(() => server.stop());
    expect(await answers(server.url)).toBe(true);
    expect(server.clusterFolder).toBe(join(folder, 'data'));
    expect(statSync(server.clusterFolder).uid).toBe(serverUser()?.uid);
    expect(canRead(server.clusterFolder, serverUser())).toBe(false);
  },
);

test.runIf(isRoot)(
  'where that does not work, the data goes to a place that its user can reach, and it is remembered',
  async () => {
    const folder = join(closedFolder(), 'postgres');
    const said: string[] = [];
    const options = {
      folder,
      isDurable: false,
      throughWorkingFolder: false,
      onProgress: (line: string) => said.push(line),
    };
    const first = await startPostgres(options);
    onTestFinished(() => rmSync(first.clusterFolder, { recursive: true, force: true }));
    expect(await answers(first.url)).toBe(true);
    expect(first.clusterFolder.startsWith(folder)).toBe(false);
    expect(said.join()).toContain(first.clusterFolder);
    await first.stop();

    const second = await startPostgres({ folder, isDurable: false });
    onTestFinished(() => second.stop());
    expect(second.clusterFolder).toBe(first.clusterFolder);
    expect(existsSync(join(folder, 'data'))).toBe(false);
  },
);

test('canRead() needs the right to pass every folder above', () => {
  const folder = closedFolder();
  mkdirSync(join(folder, 'inner'), { mode: 0o755 });
  const stranger = { uid: 65_534, gid: 65_534 };
  expect(canRead(join(folder, 'inner'), stranger)).toBe(!isRoot && process.getuid?.() === stranger.uid);
  expect(canRead('/', stranger)).toBe(true);
  expect(canRead(join(folder, 'inner'), undefined)).toBe(true);
});

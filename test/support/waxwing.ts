import type { Logger } from 'pino';
import { afterAll, afterEach } from 'vitest';
import { type Emulator, startEmulator } from '../../src/emulator/index.ts';
import { createWaxwing, type Waxwing } from '../../src/index.ts';
import { programSettings, type Settings } from './program.ts';
import { type TestDatabase, testDatabase, type TestRedis, testRedis } from './services.ts';

type Role = 'all' | 'web';

export interface WaxwingPlace {
  readonly redis: TestRedis;
  readonly database: TestDatabase;
  readonly emulator: Emulator;
  /** Stopped after the test, before the emulator forgets what it was told. */
  readonly start: (settings?: Readonly<Settings>, role?: Role, log?: Logger) => Promise<Waxwing>;
}

/**
 * Waxwing as a library, beside an emulator and on servers of the file's own. Called where the file begins, outside of
 * any test.
 * @param common settings of all that are started; those of the one go before them
 * @param usual the role of one that says none
 */
export async function waxwingPlace(common: Readonly<Settings> = {}, usual: Role = 'all'): Promise<WaxwingPlace> {
  const [redis, database, emulator] = await Promise.all([testRedis(), testDatabase(), startEmulator()]);
  const running: Waxwing[] = [];
  afterEach(async () => {
    for (const waxwing of running.splice(0)) await waxwing.stop();
    emulator.reset();
  });
  afterAll(() => emulator.stop());
  return {
    redis,
    database,
    emulator,
    async start(settings = {}, role = usual, log) {
      const all = programSettings({ redis, database, emulator }, { ...common, ...settings });
      const waxwing = createWaxwing({ role, settings: all, ...(log && { log }) });
      running.push(waxwing);
      await waxwing.start();
      return waxwing;
    },
  };
}

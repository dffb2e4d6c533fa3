import { chmodSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, inject, test } from 'vitest';
import { findRedis } from '../../src/embedded/redis-binary.ts';

const REDIS = "#!/bin/sh\necho 'Redis server v=VERSION sha=00000000:0 malloc=libc bits=64'\n";

interface Machine {
  readonly folder: string;
  readonly environment: NodeJS.ProcessEnv;
  /** Puts a program on this machine's PATH. */
  readonly add: (name: string, text: string) => string;
}

/** A machine whose PATH has only what a test puts there; the tools of Debian refuse unless the test replaces them. */
function machine(): Machine {
  const folder = mkdtempSync(join(inject('waxwingRunFolder'), 'machine-'));
  mkdirSync(join(folder, 'bin'));
  const add = (name: string, text: string): string => {
    const path = join(folder, 'bin', name);
    writeFileSync(path, text);
    chmodSync(path, 0o755);
    return path;
  };
  add('apt-get', "#!/bin/sh\necho 'E: Unable to locate package redis-server' >&2\nexit 100\n");
  return { folder, add, environment: { PATH: join(folder, 'bin'), XDG_CACHE_HOME: join(folder, 'cache') } };
}

test('findRedis() takes REDIS_SERVER_BIN before PATH', async () => {
  const { add, environment, folder } = machine();
  add('redis-server', REDIS.replace('VERSION', '7.2.4'));
  const chosen = join(folder, 'my-redis');
  writeFileSync(chosen, REDIS.replace('VERSION', '8.0.1'));
  chmodSync(chosen, 0o755);
  const found = await findRedis({ environment: { ...environment, REDIS_SERVER_BIN: chosen } });
  expect(found).toEqual({ path: chosen, libraryPath: undefined, version: '8.0.1' });
});

test('findRedis() says when REDIS_SERVER_BIN does not run, and goes on to PATH', async () => {
  const { add, environment } = machine();
  const path = add('redis-server', REDIS.replace('VERSION', '7.0.15'));
  const said: string[] = [];
  const found = await findRedis({
    environment: { ...environment, REDIS_SERVER_BIN: '/nowhere/redis-server' },
    onProgress: (sentence) => said.push(sentence),
  });
  expect(found.path).toBe(path);
  expect(said.join()).toMatch(/REDIS_SERVER_BIN cannot be used: \/nowhere\/redis-server/);
});

test('findRedis() passes over a redis-server that is too old or does not run, and takes valkey-server', async () => {
  const { add, environment } = machine();
  add('redis-server', REDIS.replace('VERSION', '6.0.16'));
  const path = add('valkey-server', "#!/bin/sh\necho 'Valkey server v=8.1.1 sha=00000000:0'\n");
  expect((await findRedis({ environment })).path).toBe(path);
  add('redis-server', '#!/bin/sh\nexit 127\n');
  expect((await findRedis({ environment })).path).toBe(path);
});

test('findRedis() says in one sentence what to install where nothing works, and why each thing tried did not', async () => {
  const { add, environment } = machine();
  add('redis-server', REDIS.replace('VERSION', '6.0.16'));
  await expect(findRedis({ environment })).rejects.toMatchObject({
    code: 'REDIS_MISSING',
    message: expect.stringMatching(
      /6\.0\.16, and 7\.0 is needed; apt-get failed: E: Unable to locate package.*install Redis or Valkey.*REDIS_URL/,
    ) as string,
  });
});

test.runIf(process.platform === 'linux')(
  'findRedis() unpacks the package of the distribution into the cache once, also for several at once',
  async () => {
    const { add, environment, folder } = machine();
    const calls = join(folder, 'calls');
    // Stands for apt: `download` leaves a package file in the current folder.
    add(
      'apt-get',
      `#!/bin/sh\nfor last; do :; done\ncase "$*" in\n*" download "*) echo download >> ${calls}; touch redis-server.deb ;;\nesac\n`,
    );
    // Stands for dpkg-deb -x <file> <folder>.
    const program = REDIS.replace('VERSION', '7.0.15').replace(
      '#!/bin/sh\n',
      '#!/bin/sh\ntest -n "$LD_LIBRARY_PATH" || exit 127\n',
    );
    writeFileSync(join(folder, 'packed'), program, { mode: 0o755 });
    add(
      'dpkg-deb',
      `#!/bin/sh\nmkdir -p "$3/usr/bin" "$3/usr/lib/x86_64-linux-gnu"\ncp -p ${join(folder, 'packed')} "$3/usr/bin/redis-server"\n`,
    );
    const found = await Promise.all([1, 2, 3].map(() => findRedis({ environment })));
    const again = await findRedis({ environment });
    const unpacked = join(folder, 'cache/waxwing', `redis-${process.arch}`);
    for (const { path, libraryPath } of [...found, again]) {
      expect(path).toBe(join(unpacked, 'usr/bin/redis-server'));
      expect(libraryPath).toBe(join(unpacked, 'usr/lib/x86_64-linux-gnu'));
    }
    expect(readFileSync(calls, 'utf8')).toBe('download\n');
  },
);

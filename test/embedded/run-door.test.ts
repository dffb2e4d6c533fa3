import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { expect, inject, onTestFinished, test } from 'vitest';
import { endProcess, identify, isRunning } from '../../src/embedded/process-identity.ts';
import { eventually } from '../support/eventually.ts';

/*
 * scripts/run.mjs in a project of its own whose npm is a script of the test: it counts its calls in `calls` and "installs"
 * a vitest that prints its arguments and ends as VITEST_END says.
 */

interface Project {
  readonly root: string;
  readonly calls: () => number;
  readonly run: (
    args: readonly string[],
    environment?: NodeJS.ProcessEnv,
  ) => Promise<{ code: number; stdout: string; stderr: string }>;
  readonly spawn: (
    args: readonly string[],
    environment?: NodeJS.ProcessEnv,
    before?: readonly string[],
  ) => ChildProcess;
}

/** A shell that stays beside its command, as Debian's does. */
const SHELL_BESIDE = ['/bin/sh', '-c', '"$@"; exit $?', 'sh'];

const FAKE_VITEST = `
const ending = process.env.VITEST_END ?? '0';
const say = () => console.log(JSON.stringify(process.argv.slice(2)));
if (ending === 'wait') {
  for (const name of ['SIGTERM', 'SIGINT']) process.on(name, () => { console.log(name); process.exit(7); });
  // Said last: who reads it may send a signal at once.
  say();
  setInterval(() => {}, 1000);
} else if (ending === 'count') {
  let count = 0;
  process.on('SIGTERM', () => { count += 1; if (count === 1) setTimeout(() => process.exit(count), 300); });
  say();
  setInterval(() => {}, 1000);
} else {
  say();
  if (ending === 'killed') process.kill(process.pid, 'SIGKILL');
  else process.exit(Number(ending));
}
`;

function project(npm: string): Project {
  const root = mkdtempSync(join(inject('waxwingRunFolder'), 'door-'));
  mkdirSync(join(root, 'scripts'));
  mkdirSync(join(root, 'bin'));
  for (const name of ['run.mjs', 'install.mjs']) {
    copyFileSync(new URL(`../../scripts/${name}`, import.meta.url), join(root, 'scripts', name));
  }
  writeFileSync(join(root, 'package.json'), '{"type":"module"}');
  writeFileSync(join(root, 'package-lock.json'), '{"packages":{"":{},"node_modules/vitest":{"version":"1.0.0"}}}');
  writeFileSync(join(root, 'fake-vitest.mjs'), FAKE_VITEST);
  writeFileSync(join(root, 'bin/npm'), `#!/bin/sh\necho "$@" >> calls\n${npm}\n`);
  chmodSync(join(root, 'bin/npm'), 0o755);
  const options = (environment: NodeJS.ProcessEnv = {}) => {
    const path = [join(root, 'bin'), dirname(process.execPath), '/usr/bin', '/bin'].join(delimiter);
    return { cwd: root, env: { ...process.env, npm_execpath: undefined, PATH: path, ...environment } };
  };
  const door = join(root, 'scripts/run.mjs');
  return {
    root,
    calls: () =>
      existsSync(join(root, 'calls')) ? readFileSync(join(root, 'calls'), 'utf8').trim().split('\n').length : 0,
    run: (args, environment) =>
      new Promise((resolve) => {
        execFile(process.execPath, [door, ...args], options(environment), (error, stdout, stderr) => {
          resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
        });
      }),
    spawn: (args, environment, before = []) => {
      const [file = '', ...rest] = [...before, process.execPath, door, ...args];
      const child = spawn(file, rest, {
        ...options(environment),
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const identity = identify(child.pid ?? 0);
      onTestFinished(async () => {
        if (identity !== undefined) await endProcess(identity, 'SIGKILL', 1_000);
      });
      return child;
    },
  };
}

const INSTALL = 'mkdir -p node_modules/vitest && cp fake-vitest.mjs node_modules/vitest/vitest.mjs';

test('installs once, then again only when the lockfile has changed, and keeps stdout for the command', async () => {
  const { root, run, calls } = project(INSTALL);
  const first = await run(['test', 'test/engine', '-t', 'a b']);
  expect(first.stdout).toBe('["run","test/engine","-t","a b"]\n');
  expect(first.stderr).toMatch(/Installing the dependencies/);
  await run(['test']);
  expect(calls()).toBe(1);
  writeFileSync(join(root, 'package-lock.json'), '{"packages":{}, "changed": true}');
  await run(['test']);
  expect(calls()).toBe(2);
  expect(readFileSync(join(root, 'calls'), 'utf8')).toMatch(/^ci --include=dev --include=optional/);
});

test('does not install over packages that a person installed and that are complete', async () => {
  const { root, run, calls } = project(INSTALL);
  mkdirSync(join(root, 'node_modules/vitest'), { recursive: true });
  copyFileSync(join(root, 'fake-vitest.mjs'), join(root, 'node_modules/vitest/vitest.mjs'));
  writeFileSync(join(root, 'node_modules/vitest/package.json'), '{}');
  writeFileSync(
    join(root, 'node_modules/.package-lock.json'),
    '{"packages":{"node_modules/vitest":{"version":"1.0.0"}}}',
  );
  expect((await run(['test'])).code).toBe(0);
  expect(calls()).toBe(0);
  // The stamp now says so; another version in it would not have been complete.
  rmSync(join(root, 'node_modules/.waxwing-install'));
  writeFileSync(
    join(root, 'node_modules/.package-lock.json'),
    '{"packages":{"node_modules/vitest":{"version":"0.9.0"}}}',
  );
  await run(['test']);
  expect(calls()).toBe(1);
});

test('of two at once one installs and the other waits for it', async () => {
  const { root, spawn: start, calls } = project(`while ! test -e go; do sleep 0.1; done; ${INSTALL}`);
  const children = [start(['test']), start(['test'])];
  const ends = children.map((child) => once(child, 'exit'));
  let stderr = '';
  for (const child of children) child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
  await eventually(() => stderr.includes('waiting for it'), { timeoutMs: 15_000 });
  writeFileSync(join(root, 'go'), '');
  expect((await Promise.all(ends)).map(([code]) => code as number)).toEqual([0, 0]);
  expect(calls()).toBe(1);
});

test('an installer that was killed blocks nobody, and its npm is ended', async () => {
  const npm = `echo $$ > npm-pid.new; mv npm-pid.new npm-pid; test -e go || exec sleep 60; ${INSTALL}`;
  const { root, run, spawn: start, calls } = project(npm);
  const killed = start(['test']);
  // At once: whatever it has not written down by now is lost with it.
  await eventually(() => existsSync(join(root, 'npm-pid')), { timeoutMs: 10_000 });
  killed.kill('SIGKILL');
  await once(killed, 'exit');
  writeFileSync(join(root, 'go'), '');
  const orphan = identify(Number(readFileSync(join(root, 'npm-pid'), 'utf8')));
  expect(orphan).toBeDefined();
  expect((await run(['test'])).code).toBe(0);
  expect(calls()).toBe(2);
  // It was told to end; how soon it is gone is the machine's affair.
  await eventually(() => orphan !== undefined && !isRunning(orphan));
});

test('tries npm three times and then says in a sentence what to do', async () => {
  const { run, calls } = project('exit 1');
  const { code, stderr } = await run(['test']);
  expect([code, calls()]).toEqual([1, 3]);
  expect(stderr).toMatch(/could not be installed .*type the command again/);
});

test('passes the exit code on, and 128 + the number of the signal that ended the program', async () => {
  const { run } = project(INSTALL);
  expect((await run(['test'], { VITEST_END: '0' })).code).toBe(0);
  expect((await run(['test'], { VITEST_END: '42' })).code).toBe(42);
  expect((await run(['test'], { VITEST_END: 'killed' })).code).toBe(137);
});

test.each(['SIGTERM', 'SIGINT'] as const)('passes %s on and ends when the program has ended', async (signal) => {
  const { run, spawn: start } = project(INSTALL);
  await run(['test']);
  const child = start(['test'], { VITEST_END: 'wait' });
  let stdout = '';
  child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString('utf8')));
  await eventually(() => stdout.includes('run'), { timeoutMs: 10_000 });
  child.kill(signal);
  const [code] = (await once(child, 'exit')) as [number];
  expect([code, stdout.trim().split('\n').at(-1)]).toEqual([7, signal]);
});

test('S10 · SIGTERM that reaches only the shell of npm ends the program in its own way', async () => {
  const { root, run, spawn: start } = project(INSTALL);
  await run(['test']);
  // What npm does with a script: a shell of its own stands between them, and that shell alone gets npm's signal.
  const end = join(root, 'end');
  writeFileSync(
    join(root, 'node_modules/vitest/vitest.mjs'),
    `import { writeFileSync } from 'node:fs';
    process.on('SIGTERM', () => { writeFileSync(${JSON.stringify(end)}, 'SIGTERM'); process.exit(0); });
    console.log(process.pid);
    setInterval(() => {}, 1000);`,
  );
  const shell = start(['test'], { npm_lifecycle_event: 'test' }, SHELL_BESIDE);
  let stdout = '';
  shell.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString('utf8')));
  await eventually(() => stdout.endsWith('\n'), { timeoutMs: 10_000 });
  const program = identify(Number(stdout));
  onTestFinished(async () => {
    if (program !== undefined) await endProcess(program, 'SIGKILL', 1_000);
  });
  shell.kill('SIGTERM');
  await eventually(() => existsSync(end), { timeoutMs: 10_000 });
  expect(readFileSync(end, 'utf8')).toBe('SIGTERM');
});

test.each([
  ['test:queue', ['test/engine', 'test/worker', 'test/messages']],
  ['test:cache', ['test/cache']],
  ['test:queue:load', ['--config', 'vitest.load.config.ts']],
])('S10 · npm run %s runs %j, and what is said behind it', async (script, parts) => {
  const repository = new URL('../../', import.meta.url);
  const { scripts } = JSON.parse(readFileSync(new URL('package.json', repository), 'utf8')) as {
    readonly scripts: Readonly<Record<string, string>>;
  };
  expect(scripts[script]).toBe(`node scripts/run.mjs ${script}`);
  const { run } = project(INSTALL);
  const { stdout } = await run([script, '-t', 'a b']);
  expect(JSON.parse(stdout)).toEqual(['run', ...parts, '-t', 'a b']);
  for (const part of parts.filter((part) => !part.startsWith('--')))
    expect(existsSync(new URL(part, repository)), part).toBe(true);
});

test('passes on once what npm and its group both deliver', async () => {
  const { run, spawn: start } = project(INSTALL);
  await run(['test']);
  const child = start(['test'], { VITEST_END: 'count' });
  let stdout = '';
  child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString('utf8')));
  await eventually(() => stdout.includes('run'), { timeoutMs: 10_000 });
  child.kill('SIGTERM');
  setTimeout(() => child.kill('SIGTERM'), 50);
  expect(await once(child, 'exit')).toEqual([1, null]);
});

test('says that a file is missing instead of a stack', async () => {
  const { run } = project(
    `${INSTALL}; mkdir -p node_modules/tsx; echo '{"name":"tsx","main":"x.mjs"}' > node_modules/tsx/package.json; touch node_modules/tsx/x.mjs`,
  );
  const { code, stderr } = await run(['start']);
  expect([code, stderr.trim().split('\n').at(-1)]).toEqual([
    1,
    expect.stringMatching(/src\/cli\/main\.ts is not there/),
  ]);
});

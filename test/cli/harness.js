import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
const root = fileURLToPath(new URL('../../', import.meta.url));
/** Settings of the machine that runs the tests must not reach the program under test. */
const BASE_ENV = { PATH: process.env['PATH'], HOME: process.env['HOME'] };
/** A data folder of this test's own. */
export function dataFolder() {
    return mkdtempSync(join(tmpdir(), 'waxwing-cli-'));
}
/** Starts `waxwing <args>` as a person would; ended by its id when the test is over. */
export function waxwing(args, env = {}) {
    const child = spawn(process.execPath, ['--import', 'tsx', join(root, 'src/cli/main.ts'), ...args], {
        cwd: root,
        env: { ...BASE_ENV, ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    const listeners = new Set();
    child.stdout.on('data', (chunk) => {
        stdout += chunk.toString();
        for (const listener of listeners)
            listener();
    });
    child.stderr.on('data', (chunk) => (stderr += chunk.toString()));
    const finished = new Promise((resolve) => {
        child.on('close', (code) => resolve({ code, stdout, stderr }));
    });
    onTestFinished(async () => {
        if (child.exitCode === null)
            child.kill('SIGTERM');
        const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
        await finished;
        clearTimeout(timer);
    });
    const saw = (pattern, timeoutMs = 30_000) => new Promise((resolve, reject) => {
        const fail = (why) => reject(new Error(`${why}: ${String(pattern)}\n${stdout}\n${stderr}`));
        const timer = setTimeout(() => fail('not seen in time'), timeoutMs);
        const look = () => {
            const found = pattern.exec(stdout);
            if (found === null)
                return;
            clearTimeout(timer);
            listeners.delete(look);
            resolve(found);
        };
        listeners.add(look);
        look();
        void finished.then(() => fail('the command ended before it was seen'));
    });
    return { child, finished, stdout: () => stdout, saw };
}
export async function run(args, env = {}) {
    return await waxwing(args, env).finished;
}

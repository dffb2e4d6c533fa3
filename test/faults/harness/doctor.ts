import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { API_KEY, ROOT, type Settings } from './program.ts';

interface Finding {
  readonly about: string;
  readonly detail: string;
  readonly severity: string;
  readonly messageIds?: readonly string[];
}

/** What `waxwing doctor` finds. @throws Error with its words when it could not examine anything */
export async function doctor(settings: Settings): Promise<readonly Finding[]> {
  const args = ['--import', 'tsx', join(ROOT, 'src/cli/main.ts'), 'doctor', '--json'];
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], ...settings, WAXWING_API_KEY: API_KEY };
  // A finding is exit code 1.
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, {
    cwd: ROOT,
    env,
    maxBuffer: 10_000_000,
  }).catch((error: unknown) => error as { stdout: string; stderr: string });
  if (stdout === '') throw new Error(stderr);
  return (JSON.parse(stdout) as { findings: Finding[] }).findings;
}

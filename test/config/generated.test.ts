import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

test('.env.example and docs/configuration.md are what the settings catalogue says', async () => {
  const script = new URL('../../scripts/generate-config-docs.mjs', import.meta.url);
  const { stderr } = await promisify(execFile)(process.execPath, [script.pathname, '--check']);
  expect(stderr).toBe('');
});

// Builds the package: dist/ from src/ with tsc, and the SQL files that the record reads beside its code; and the
// dashboard's page.
import { spawnSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureDashboard } from './dashboard.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
rmSync(join(root, 'dist'), { recursive: true, force: true });
const tsc = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
});
if (tsc.status !== 0) process.exit(tsc.status ?? 1);
cpSync(join(root, 'src'), join(root, 'dist'), {
  recursive: true,
  // Folders are walked; of the files only SQL is data that the code reads.
  filter: (path) => !/\.[a-z]+$/.test(path) || path.endsWith('.sql'),
});
console.log('built dist/');
await ensureDashboard();
console.log('built web/dashboard/dist/');

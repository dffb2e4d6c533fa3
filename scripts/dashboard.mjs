// Builds web/dashboard into web/dashboard/dist with Vite, each file also compressed. `ensureDashboard()` does it when it
// was not done for these sources yet, so that the first `npm start` of a checkout needs no further command.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const page = join(root, 'web', 'dashboard');
const built = join(page, 'dist');

/** What the build is made of: its sources, and the versions of all packages. */
function digest() {
  const hash = createHash('sha256').update(readFileSync(join(root, 'package-lock.json')));
  hash.update(readFileSync(join(root, 'src/observe/live/types.ts')));
  const files = readdirSync(page, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .filter((file) => !/^[/\\]dist/.test(file.slice(page.length)))
    .sort();
  for (const file of files) hash.update(file.slice(page.length)).update('\0').update(readFileSync(file));
  return hash.digest('hex');
}

/** Builds into a folder of its own and puts it in place at the end: who reads meanwhile finds the old one or the new. */
export async function buildDashboard() {
  const { build } = await import('vite');
  const made = `${built}.${process.pid}`;
  // Whoever asks for it first, be it a test: what is made for development names the files of this machine.
  const { NODE_ENV } = process.env;
  process.env.NODE_ENV = 'production';
  try {
    await build({ configFile: join(page, 'vite.config.mjs'), build: { outDir: made } });
  } finally {
    if (NODE_ENV === undefined) delete process.env.NODE_ENV;
    else process.env.NODE_ENV = NODE_ENV;
  }
  for (const entry of readdirSync(join(made, 'assets'))) {
    if (!/\.(js|css|svg)$/.test(entry)) continue;
    const file = join(made, 'assets', entry);
    const bytes = readFileSync(file);
    writeFileSync(`${file}.gz`, gzipSync(bytes, { level: 9 }));
    writeFileSync(`${file}.br`, brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
  }
  writeFileSync(join(made, 'stamp'), digest());
  const old = `${built}.old.${process.pid}`;
  mkdirSync(page, { recursive: true });
  if (existsSync(built)) renameSync(built, old);
  renameSync(made, built);
  rmSync(old, { recursive: true, force: true });
}

/** In an installed package there is nothing to build with, and nothing to build. */
export async function ensureDashboard() {
  const stamp = join(built, 'stamp');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === digest()) return;
  if (!existsSync(join(root, 'node_modules', 'vite'))) return;
  await buildDashboard();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildDashboard();

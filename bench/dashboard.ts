/*
 * How fast the dashboard opens, and how far it is behind the truth, with 10,000 tenants that all have messages in the
 * queue and a million messages in the record: `npm run bench:dashboard`. Real Redis, PostgreSQL, web role and Chromium.
 *   --messages N  in the record (1,000,000)      --tenants N (10,000)      --rounds N (20)
 * Writes bench/results/dashboard.json when run with the usual sizes.
 */
import { writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Browser, chromium, type Page } from 'playwright-core';
import { median } from './statistics.ts';
import { startStage, type Stage } from './dashboard/stage.ts';

const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '1000000' },
    tenants: { type: 'string', default: '10000' },
    rounds: { type: 'string', default: '20' },
  },
});
const size = { messages: Number(values.messages), tenants: Number(values.tenants) };
const rounds = Number(values.rounds);
const RESULT = fileURLToPath(new URL('results/dashboard.json', import.meta.url));
const WANTED_MS = 1000;

/** Notes in the page when the figures first stand there, and each change of the number of accepted messages. */
const WATCH = `
  let shown = 0, text, wanted;
  let tellLive;
  window.live = new Promise((resolve) => (tellLive = resolve));
  window.changesAfter = (count) => new Promise((resolve) => (shown > count ? resolve(Date.now()) : (wanted = { count, resolve })));
  window.changes = () => shown;
  new MutationObserver(() => {
    const figure = document.querySelector('#figure-accepted .more');
    if (figure === null) return;
    if (document.querySelector('.l-live') !== null) tellLive(performance.now());
    if (figure.textContent === text) return;
    text = figure.textContent;
    shown += 1;
    if (wanted !== undefined && shown > wanted.count) wanted.resolve(Date.now());
  }).observe(document, { subtree: true, childList: true, characterData: true });`;

interface Figure {
  readonly medianMs: number;
  readonly worstMs: number;
  readonly runs: number;
}

function figureOf(ms: readonly number[]): Figure {
  return { medianMs: Math.round(median(ms)), worstMs: Math.round(Math.max(...ms)), runs: ms.length };
}

async function newPage(browser: Browser, stage: Stage): Promise<Page> {
  const headers = { authorization: `Bearer ${stage.token}` };
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, extraHTTPHeaders: headers });
  await context.addInitScript(WATCH);
  return await context.newPage();
}

/** From the start of the navigation until figures are shown and live, by the page's own clock. */
async function opensIn(page: Page, stage: Stage): Promise<number> {
  await page.goto(`${stage.url}/dashboard`);
  return await page.evaluate('window.live');
}

/** From the start of the navigation to a page until `selector` is shown. */
async function showsIn(page: Page, stage: Stage, path: string, selector: string): Promise<number> {
  await page.goto('about:blank');
  const startMs = performance.now();
  await page.goto(`${stage.url}/dashboard${path}`);
  await page.locator(selector).first().waitFor();
  return performance.now() - startMs;
}

/** From the 202 of a message until the page counts it. Both clocks are this machine's. */
async function behind(page: Page, stage: Stage): Promise<number[]> {
  const lags: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    // At another moment of the half second between two looks each time.
    await new Promise((resolve) => setTimeout(resolve, 700 + ((round * 137) % 500)));
    const before = await page.evaluate('window.changes()');
    const shown = page.evaluate(`window.changesAfter(${String(before)})`);
    await stage.accept(1);
    const acceptedAtMs = Date.now();
    lags.push(Number(await shown) - acceptedAtMs);
  }
  return lags;
}

const stage = await startStage(size);
const browser = await chromium.launch({
  executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
  headless: true,
  args: ['--no-sandbox', '--disable-gpu'],
});
const loadBefore = loadavg()[0] ?? 0;
try {
  const cold: number[] = [];
  const warm: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    // A browser that was never here, then the same one again.
    const page = await newPage(browser, stage);
    cold.push(await opensIn(page, stage));
    warm.push(await opensIn(page, stage));
    await page.context().close();
  }
  const page = await newPage(browser, stage);
  await opensIn(page, stage);
  const lags = await behind(page, stage);
  const others: Record<string, Figure> = {};
  for (const [path, selector] of [
    ['/messages', 'tbody th a'],
    ['/messages?tenant=t77', 'tbody th a'],
    ['/tenants', 'tbody th a'],
    ['/tenants?search=t77', 'tbody th a'],
    ['/failures', 'tbody th a'],
    ['/senders', 'tbody th a'],
    ['/statistics', '.column'],
  ] as const) {
    const times: number[] = [];
    for (let round = 0; round < 5; round += 1) times.push(await showsIn(page, stage, path, selector));
    others[path] = figureOf(times);
  }
  const opens = figureOf(cold);
  const lag = figureOf(lags);
  const report = {
    at: new Date().toISOString(),
    machine: `${cpus().length} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), Node ${process.versions.node}, Chromium ${browser.version()}, ${process.platform}`,
    loadBefore: Number(loadBefore.toFixed(2)),
    size: { ...size, queued: stage.queued },
    opens: { wantedMs: WANTED_MS, isMet: opens.worstMs <= WANTED_MS, cold: opens, again: figureOf(warm) },
    behindTheTruth: { wantedMs: WANTED_MS, isMet: lag.worstMs <= WANTED_MS, ...lag },
    otherPages: others,
  };
  console.log(JSON.stringify(report, null, 1));
  if (size.messages >= 1_000_000 && size.tenants >= 10_000 && rounds >= 20) {
    writeFileSync(RESULT, `${JSON.stringify(report, null, 1)}\n`);
    console.log(`Written to ${RESULT}`);
  }
} finally {
  await browser.close();
  await stage.stop();
}

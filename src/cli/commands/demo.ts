import { join, relative } from 'node:path';
import { defineCommand } from 'citty';
import { type Emulator, startEmulator } from '../../emulator/index.ts';
import { signJwt } from '../../http/index.ts';
import { createLog } from '../../program/log.ts';
import { demoResponder } from '../demo/answers.ts';
import { CAST, TROUBLES } from '../demo/cast.ts';
import { type MailCatcher, startMailCatcher } from '../demo/mail-catcher.ts';
import { startMails } from '../demo/mails.ts';
import { Traffic } from '../demo/traffic.ts';
import { judge, summary } from '../demo/verdict.ts';
import { isPortFree } from '../free-port.ts';
import { type Program, startProgram } from '../../program/start-program.ts';
import { settings } from '../settings.ts';
import { untilSignal } from '../until-signal.ts';
import { parseInteger } from './start.ts';

const PHONE_NUMBER_ID = '100000000000001';
const EMULATOR_PORT = 4010;
const MAIL_PORT = 4025;
const SIGN_IN_SECONDS = 12 * 3600;

export const demo = defineCommand({
  meta: { name: 'demo', description: 'See it work: the whole program, an emulator of WhatsApp, and sample traffic' },
  args: {
    seconds: {
      type: 'string',
      default: '0',
      description: 'End by itself after so many seconds; 0 = at Ctrl-C',
      valueHint: 'number',
    },
    traffic: {
      type: 'boolean',
      default: true,
      description: 'Sample traffic',
      negativeDescription: 'No sample traffic',
    },
  },
  async run({ args }) {
    const seconds = parseInteger(args.seconds, 'seconds', 0, 86_400);
    console.log('Starting Redis, PostgreSQL, the emulator and the program …');
    const verifyToken = 'demo-verify-token';
    const appSecret = 'demo-app-secret';
    const emulator = await startEmulator({
      port: (await isPortFree(EMULATOR_PORT)) ? EMULATOR_PORT : 0,
      appSecret,
      verifyToken,
      settings: {
        latencyMsMin: 30,
        latencyMsMax: 90,
        numbers: { [PHONE_NUMBER_ID]: { verifiedName: 'Waxwing demo' } },
      },
    });
    const mails = await startMailCatcher((await isPortFree(MAIL_PORT)) ? MAIL_PORT : 0);
    let program: Program | undefined;
    try {
      program = await startDemoProgram(emulator, mails, appSecret, verifyToken);
      await play(program, emulator, mails, seconds, args.traffic);
    } finally {
      await program?.stop();
      await emulator.stop();
      await mails.stop();
    }
  },
});

async function startDemoProgram(
  emulator: Emulator,
  mails: MailCatcher,
  appSecret: string,
  verifyToken: string,
): Promise<Program> {
  // The user's own settings hold, but the demo talks to the emulator and keeps its data apart.
  const first = settings();
  const config = settings({
    WAXWING_DATA_DIR: dataDirOf(first.waxwingDataDir),
    PORT: (await isPortFree(first.port)) ? String(first.port) : '0',
    LOG_LEVEL: process.env['LOG_LEVEL'] ?? 'error',
    WHATSAPP_API_URL: emulator.apiUrl,
    WHATSAPP_PHONE_NUMBER_ID: PHONE_NUMBER_ID,
    WHATSAPP_ACCESS_TOKEN: 'demo-access-token',
    WHATSAPP_APP_SECRET: appSecret,
    WHATSAPP_VERIFY_TOKEN: verifyToken,
    // Never the user's own mail server: the people of the demo do not exist.
    SMTP_URL: mails.smtpUrl,
    MAIL_FROM: 'Waxwing demo <demo@example.com>',
  });
  const program = await startProgram(config, 'all', createLog(config.logLevel), { responder: demoResponder });
  emulator.patch({ webhook: { url: `${program.server?.url ?? ''}/webhooks/whatsapp/cloud` } });
  return program;
}

function dataDirOf(usual: string): string {
  return join(usual, 'demo');
}

/** As short as it may be typed: below the current folder without its path. */
function shownDataDir(): string {
  const folder = dataDirOf(settings().waxwingDataDir);
  const below = relative(process.cwd(), folder);
  return below.startsWith('..') ? folder : below;
}

async function play(
  program: Program,
  emulator: Emulator,
  mails: MailCatcher,
  seconds: number,
  withTraffic: boolean,
): Promise<void> {
  for (const { recipient, action, ...rest } of TROUBLES) {
    emulator.addRule({ match: { recipient }, action, ...('every' in rest ? { every: rest.every } : {}) });
  }
  const url = program.server?.url ?? '';
  const traffic = new Traffic(url, program.keys.apiKey);
  const token = await signJwt(
    { role: 'admin', name: 'demo', lifetimeSeconds: SIGN_IN_SECONDS },
    { secret: program.keys.jwtSecret, audience: undefined, issuer: undefined },
  );
  const urls = { url, emulatorUrl: emulator.url, mailUrl: mails.url, dataDir: shownDataDir() };
  console.log(welcome({ ...urls, apiKey: program.keys.apiKey, token, withTraffic }));
  if (withTraffic) traffic.start();
  const stopMails = withTraffic ? startMails(program.queues) : () => undefined;
  const stopLine = liveLine(program, emulator);
  const end = untilSignal();
  await (seconds > 0 ? Promise.race([end, new Promise((resolve) => setTimeout(resolve, seconds * 1000))]) : end);
  stopLine();
  stopMails();
  await traffic.stop();
  // Takes no more and waits for what is in flight, so that both sides count the same.
  await program.worker?.stop(5000);
  console.log(summary(await program.queue.counters(), judge(emulator)));
  console.log(`E-mails caught ${mails.mails.length}, delivered to nobody.`);
}

function welcome(demo: {
  readonly url: string;
  readonly apiKey: string;
  readonly emulatorUrl: string;
  readonly mailUrl: string;
  /** For the sign-in page. */
  readonly token: string;
  readonly dataDir: string;
  readonly withTraffic: boolean;
}): string {
  const { url, apiKey, emulatorUrl, mailUrl, token, dataDir, withTraffic } = demo;
  const lines = [
    '',
    `  WhatsApp, emulated    ${emulatorUrl}  ← open this: conversations as they arrive, answer as the customer`,
    `  E-mails, caught       ${mailUrl}  ← confirmations and the like, delivered to nobody`,
    `  Dashboard             ${url}/dashboard  ← is it flowing, and if not, why; sign in with the token below`,
    `  API reference         ${url}/docs`,
    `  API key               ${apiKey}`,
    `  Sign-in token         ${token}`,
    '',
    '  Send one yourself:',
    `    curl ${url}/v1/messages -H 'authorization: Bearer ${apiKey}' -H 'content-type: application/json' \\`,
    `      -d '{"tenant":"salon-aurora","to":"+447700900100","type":"text","text":{"body":"Hello!"}}'`,
    '',
    '  Commands of waxwing need the keys of the demo. In this clone, for instance:',
    `    WAXWING_DATA_DIR=${dataDir} node scripts/run.mjs doctor`,
    '',
  ];
  if (withTraffic) {
    lines.push(
      `  ${CAST.length} tenants write to their customers, one of them a broadcast of 150 every 20 s; and some trouble:`,
    );
    for (const { says } of TROUBLES) lines.push(`    · ${says}`);
    lines.push('');
  }
  lines.push('  Ctrl-C ends the demo with a summary.', '');
  return lines.join('\n');
}

/** On a terminal: one line that is written over each second. Elsewhere: a line every ten seconds. */
function liveLine(program: Program, emulator: Emulator): () => void {
  const isTerminal = process.stdout.isTTY;
  const show = async () => {
    const counters = await program.queue.counters().catch(() => null);
    if (counters === null) return;
    const { accepted, sent, failed, queued, inFlight } = counters;
    const rate = emulator.stats().perSecond;
    const line = `  accepted ${accepted} · sent ${sent} · failed ${failed} · waiting ${queued} · in flight ${inFlight} · ${rate}/s`;
    process.stdout.write(isTerminal ? `\r\u001b[2K${line}` : `${line}\n`);
  };
  const timer = setInterval(() => void show(), isTerminal ? 1000 : 10_000);
  return () => {
    clearInterval(timer);
    if (isTerminal) process.stdout.write('\n');
  };
}

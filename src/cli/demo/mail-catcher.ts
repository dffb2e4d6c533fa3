import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { mailPage, mailsPage } from './mail-pages.ts';
import { type CaughtMail, readMail } from './read-mail.ts';

/** A mail server that delivers to nobody, and a page that shows what it caught. Both on loopback only. */
export interface MailCatcher {
  readonly smtpUrl: string;
  /** Where to look at them. */
  readonly url: string;
  /** The oldest first. */
  readonly mails: readonly CaughtMail[];
  stop(): Promise<void>;
}

const KEPT_MAX = 200;
const MAIL_CHARACTERS_MAX = 1_000_000;

/** @param port of the page; 0 = any free one */
export async function startMailCatcher(port = 0): Promise<MailCatcher> {
  const mails: CaughtMail[] = [];
  /** E-mails that gave way: a page keeps its number. */
  let gone = 0;
  const sockets = new Set<Socket>();
  const smtp = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    converse(socket, (raw) => {
      mails.push(readMail(raw));
      if (mails.length <= KEPT_MAX) return;
      mails.shift();
      gone += 1;
    });
  });
  const http = createHttpServer((request, response) => {
    // Another site that leads its name to this machine must not read along.
    if (!/^(127\.0\.0\.1|localhost)(:\d+)?$/.test(request.headers.host ?? '')) {
      response.writeHead(403).end();
      return;
    }
    const found = /^\/mail\/(\d+)$/.exec(request.url ?? '');
    const mail = found === null ? undefined : mails[Number(found[1]) - gone];
    response.writeHead(found !== null && mail === undefined ? 404 : 200, {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self'",
    });
    response.end(mail === undefined ? mailsPage(mails, gone) : mailPage(mail));
  });
  const listening = (server: typeof smtp, at: number) =>
    new Promise<number>((resolve, reject) => {
      server.once('error', reject);
      server.listen(at, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
    });
  const [smtpPort, httpPort] = [await listening(smtp, 0), await listening(http, port)];
  return {
    smtpUrl: `smtp://127.0.0.1:${smtpPort}`,
    url: `http://127.0.0.1:${httpPort}`,
    mails,
    async stop() {
      for (const socket of sockets) socket.destroy();
      http.closeAllConnections();
      await Promise.all([smtp, http].map((server) => new Promise((resolve) => void server.close(resolve))));
    },
  };
}

/** As much of SMTP as a mailer speaks: everything is taken. */
function converse(socket: Socket, onMail: (raw: string) => void): void {
  let waiting = '';
  /** Lines of the e-mail under way; null between e-mails. */
  let lines: string[] | null = null;
  let characters = 0;
  const say = (text: string) => socket.write(`${text}\r\n`);

  function onLine(line: string): void {
    if (lines === null) onCommand(line);
    else if (line === '.') {
      if (characters > MAIL_CHARACTERS_MAX) say('552 Too large');
      else {
        onMail(lines.join('\r\n'));
        say('250 Caught');
      }
      lines = null;
    } else if ((characters += line.length) <= MAIL_CHARACTERS_MAX) lines.push(line.replace(/^\./, ''));
  }

  function onCommand(line: string): void {
    const command = line.slice(0, 4).toUpperCase();
    if (command === 'EHLO' || command === 'HELO') say('250 waxwing-demo');
    else if (command === 'DATA') {
      lines = [];
      characters = 0;
      say('354 Go on');
    } else if (command === 'QUIT') socket.end('221 Bye\r\n');
    else if (['MAIL', 'RCPT', 'RSET', 'NOOP'].includes(command)) say('250 OK');
    else say('502 Not here');
  }

  // One letter per byte: the encodings of the e-mail itself are undone later.
  socket.setEncoding('latin1');
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: string) => {
    waiting += chunk;
    if (waiting.length > MAIL_CHARACTERS_MAX && !waiting.includes('\r\n')) socket.destroy();
    const complete = waiting.split('\r\n');
    waiting = complete.pop() ?? '';
    for (const line of complete) onLine(line);
  });
  say('220 waxwing-demo: nothing leaves this machine');
}

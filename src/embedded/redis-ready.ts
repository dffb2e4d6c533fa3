import { connect } from 'node:net';

export type RedisAnswer =
  /** It answers; the id tells whether it is the process that we started. */
  | { readonly kind: 'ready'; readonly pid: number }
  | { readonly kind: 'loading' }
  | { readonly kind: 'silent'; readonly reason: string };

/** Asks the server on a loopback port once whether it is ready, and which process it is. Never rejects. */
export function askRedis(port: number, password: string | undefined, timeoutMs = 1_000): Promise<RedisAnswer> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    let text = '';
    const finish = (answer: RedisAnswer): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(timeoutMs, () => finish({ kind: 'silent', reason: 'no answer' }));
    socket.on('error', (error) => finish({ kind: 'silent', reason: error.message }));
    socket.on('close', () => resolve({ kind: 'silent', reason: 'connection closed' }));
    socket.on('connect', () => {
      socket.write(`${password === undefined ? '' : `AUTH ${password}\r\n`}INFO server\r\nPING\r\n`);
    });
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      // INFO is answered while the data is still being read from disk, PING is not.
      const id = /^process_id:(\d+)/m.exec(text);
      if (/^-LOADING/m.test(text)) finish({ kind: 'loading' });
      else if (/^-(NOAUTH|WRONGPASS|ERR)/m.test(text)) finish({ kind: 'silent', reason: 'another Redis answered' });
      else if (id !== null && text.includes('+PONG')) finish({ kind: 'ready', pid: Number(id[1]) });
    });
  });
}

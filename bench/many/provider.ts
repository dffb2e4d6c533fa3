/* A WhatsApp that only takes its time: answers every send after 50 to 100 ms. A process of its own, so that it costs the measured ones nothing. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const [LATENCY_MS_MIN, LATENCY_MS_MAX] = [50, 100];
let sends = 0;

const server = createServer((request, response) => {
  request.resume().once('end', () => {
    sends += 1;
    const id = `wamid.${sends}`;
    setTimeout(
      () => {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ messaging_product: 'whatsapp', contacts: [], messages: [{ id }] }));
      },
      LATENCY_MS_MIN + Math.random() * (LATENCY_MS_MAX - LATENCY_MS_MIN),
    );
  });
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.on('message', () => process.send?.({ sends }));
process.on('disconnect', () => process.exit(0));

import helmet from '@fastify/helmet';
import Fastify, { type FastifyInstance } from 'fastify';
import plugin from 'fastify-plugin';

const OPTIONS = {
  contentSecurityPolicy: {
    useDefaults: false,
    directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] },
  },
  // With `no-referrer` browsers send `Origin: null` with forms, and nobody could tell whose they are.
  referrerPolicy: { policy: 'same-origin' },
  // Set where it is known whether the browser came by https.
  strictTransportSecurity: false,
} as const;

const NOT_HELMETS = new Set(['content-length', 'content-type', 'date', 'connection']);

let known: Promise<Readonly<Record<string, string>>> | undefined;

/** Helmet works its headers out anew for every request, at the price of a tenth of a short one; they never differ. */
async function headersOfHelmet(): Promise<Readonly<Record<string, string>>> {
  const probe = Fastify();
  await probe.register(helmet, OPTIONS);
  probe.get('/', (_request, reply) => reply.send(''));
  const { headers } = await probe.inject('/');
  await probe.close();
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      typeof value === 'string' && !NOT_HELMETS.has(name) ? [[name, value] as const] : [],
    ),
  );
}

/** Headers that keep browsers from doing with an answer what nobody meant; a page sets its own policy over them. */
export const safeHeaders = plugin(
  async (app: FastifyInstance) => {
    const headers = await (known ??= headersOfHelmet());
    app.addHook('onRequest', (_request, reply, done) => {
      reply.headers(headers);
      done();
    });
  },
  { name: 'waxwing-safe-headers', fastify: '5.x' },
);

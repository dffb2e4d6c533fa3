import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/index.ts';
import { LOGO_URL } from '../../src/http/logo.ts';
import { startApi, type Api } from './support/api.ts';

interface Operation {
  readonly summary?: string;
  readonly tags?: string[];
  readonly security?: Record<string, unknown>[];
  readonly requestBody?: { readonly content: Record<string, { readonly schema: unknown }> };
  readonly responses: Record<
    string,
    { readonly content?: Record<string, { readonly schema?: Record<string, unknown> }> }
  >;
}
interface Document {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly schemas: Record<string, unknown>; readonly securitySchemes: Record<string, unknown> };
}

let api: Api;
let document: Document;
const routes: { method: string; url: string }[] = [];
beforeAll(async () => {
  api = await startApi();
  document = (await api.call({ url: '/openapi.json', as: null })).json();
  for (const [url, methods] of Object.entries(document.paths))
    for (const method of Object.keys(methods)) routes.push({ method, url });
});
afterAll(() => api.close());

/** For a platform key or a JWT. */
const REPORTS = new Set([
  '/api/cache/metrics',
  '/api/cache/metrics/history',
  '/api/cache/metrics/history.svg',
  '/api/v1/queues/stats',
  '/metrics',
  '/api/workers/whatsapp',
  '/api/webhooks/whatsapp/health',
]);
const CONTRACT = [
  'post /v1/messages',
  'post /v1/messages/batch',
  'get /api/v1/queues/stats',
  'get /metrics',
  'get /api/workers/whatsapp',
  'get /api/webhooks/whatsapp/health',
  'get /admin/alerts',
  'get /v1/messages',
  'get /v1/stats',
  'get /v1/templates',
  'post /v1/templates',
  'post /v1/templates/sync',
  'get /v1/templates/{id}',
  'post /v1/templates/{id}/preview',
  'get /v1/messages/{id}',
  'get /v1/messages/{id}/timeline',
  'get /v1/messages/{id}/explain',
  'get /admin/streams/health',
  'post /admin/streams/reset-to-latest',
  'post /admin/streams/reset-to-begin',
  'delete /admin/streams/destroy-recreate',
  'post /admin/streams/claim-pending-to-worker',
  'get /v1/senders/{id}/forecast',
  'delete /v1/messages/{id}',
  'post /api/whatsapp/send',
  'get /webhooks/whatsapp/cloud',
  'post /webhooks/whatsapp/cloud',
  'get /webhooks/whatsapp/cloud/{sender}',
  'post /webhooks/whatsapp/cloud/{sender}',
  'post /webhooks/whatsapp/evolution',
  'post /webhooks/whatsapp/evolution/{sender}',
  'post /webhooks/whatsapp/evolution/{sender}/{*}',
  'post /webhooks/whatsapp/twilio',
  'post /webhooks/whatsapp/twilio/{sender}',
  'post /admin/webhooks/replay',
  'get /admin/events',
  'get /admin/events/{id}',
  'post /admin/events/replay',
  'get /admin/events/endpoints',
  'get /admin/events/endpoints/{id}/secret',
  'post /admin/events/endpoints/{id}/enable',
  'get /v1/conversations',
  'get /v1/conversations/{id}',
  'get /v1/conversations/{id}/messages',
  'post /v1/conversations/{id}/read',
  'get /v1/contacts/{id}',
  'get /admin/tenants',
  'post /admin/tenants',
  'get /admin/tenants/{id}',
  'patch /admin/tenants/{id}',
  'post /admin/tenants/{id}/pause',
  'post /admin/tenants/{id}/resume',
  'get /admin/senders',
  'post /admin/senders',
  'get /admin/senders/{id}',
  'patch /admin/senders/{id}',
  'post /admin/senders/{id}/pause',
  'post /admin/senders/{id}/resume',
  'get /admin/failures',
  'get /admin/failures/summary',
  'get /admin/failures/{id}',
  'get /admin/dead-letters',
  'get /admin/dead-letters/export',
  'get /admin/dead-letters/{id}',
  'post /admin/dead-letters/redrive',
  'post /admin/dead-letters/discard',
  'get /admin/keys',
  'post /admin/keys',
  'post /admin/keys/{id}/rotate',
  'delete /admin/keys/{id}',
  'get /admin/audit',
  'get /api/cache/metrics',
  'get /api/cache/metrics/history',
  'get /api/cache/metrics/history.svg',
  'get /v1/bookings',
  'post /v1/bookings',
  'get /v1/bookings/{id}',
  'patch /v1/bookings/{id}',
  'delete /v1/bookings/{id}',
  'get /admin/queue/stats/{queue}',
  'get /admin/queue/health',
  'post /admin/queue/pause/{queue}',
  'post /admin/queue/resume/{queue}',
  'post /admin/queue/clean/{queue}',
  'post /admin/queue/test',
  'get /health',
  'get /ready',
];

describe('/openapi.json', () => {
  test('has every route and no other', () => {
    expect(routes.map(({ method, url }) => `${method} ${url}`).sort()).toEqual([...CONTRACT].sort());
  });

  test('Q8 · Bull Board may not lie on the path of any of them', () => {
    const own = routes.map(({ url }) => url.replaceAll(/[{}*]/g, ''));
    for (const path of [...own, '/docs', '/openapi.json', '/dashboard', '/login', '/logout'])
      expect(loadConfig({ BULL_BOARD_PATH: path }, tmpdir()).ok, path).toBe(false);
  });

  test('is OpenAPI 3.1 in which every reference leads somewhere', () => {
    expect(document.openapi).toBe('3.1.0');
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1] ?? '');
    expect(references.length).toBeGreaterThan(0);
    for (const reference of new Set(references)) {
      expect(reference).toMatch(/^#\/components\/schemas\//);
      expect(document.components.schemas).toHaveProperty([reference.replace('#/components/schemas/', '')]);
    }
  });

  test('every operation has a summary, a tag, an answer with a schema, and the shape of its errors', () => {
    for (const { method, url } of routes) {
      const operation = document.paths[url]?.[method];
      const where = `${method} ${url}`;
      expect(operation?.summary, where).toBeTruthy();
      expect(operation?.tags, where).toHaveLength(1);
      const statuses = Object.keys(operation?.responses ?? {});
      const isVerification = method === 'get' && url.startsWith('/webhooks');
      const good = statuses.filter((status) => status.startsWith('2'));
      expect(good.length, where).toBeGreaterThan(0);
      if (isVerification) continue;
      for (const status of good) {
        const content = Object.values(operation?.responses[status]?.content ?? {});
        expect(content[0]?.schema, `${where} ${status}`).toBeTruthy();
      }
      expect(JSON.stringify(operation?.responses['4XX']), where).toContain('application/problem+json');
      expect(JSON.stringify(operation?.responses['4XX']), where).toContain('#/components/schemas/Problem');
    }
  });

  test('every operation says which credential it takes', () => {
    const { securitySchemes } = document.components;
    for (const { method, url } of routes) {
      const security = document.paths[url]?.[method]?.security ?? [];
      const names = security.flatMap((one) => Object.keys(one));
      for (const name of names) expect(securitySchemes).toHaveProperty(name);
      if (url.startsWith('/admin')) expect(names).toEqual(['adminToken', 'session']);
      else if (REPORTS.has(url)) expect(names).toEqual(['apiKey', 'adminToken', 'session']);
      else if (url.startsWith('/v1') || url.startsWith('/api')) expect(names).toEqual(['apiKey']);
      else expect(names).toEqual([]);
    }
  });

  test('describes the body of a message with every type', () => {
    const operations = document.paths;
    expect(JSON.stringify(operations['/v1/messages']?.['post']?.requestBody)).toContain('schemas/MessageRequestInput');
    expect(JSON.stringify(operations['/v1/messages/batch']?.['post']?.requestBody)).toContain('schemas/BatchItemInput');
    const body = JSON.stringify(document.components.schemas['MessageRequestInput']);
    for (const type of [
      'text',
      'template',
      'image',
      'document',
      'audio',
      'video',
      'sticker',
      'location',
      'contacts',
      'reaction',
      'interactive',
    ]) {
      expect(body).toContain(`"const":"${type}"`);
    }
    for (const field of ['tenant', 'conversation', 'sendAt', 'expiresAt', 'dedupe', 'metadata', 'priority'])
      expect(body).toContain(`"${field}"`);
    expect(JSON.stringify(document.components.schemas['BatchItemInput'])).toContain('idempotencyKey');
  });
});

describe('/docs', () => {
  test('is a page that loads nothing from other hosts', async () => {
    const page = await api.call({ url: '/docs/', as: null });
    const start = page.statusCode === 200 ? page : await api.call({ url: '/docs/static/index.html', as: null });
    expect(start.statusCode).toBe(200);
    expect(start.headers['content-type']).toMatch(/text\/html/);
    const sources = [...start.body.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? '');
    expect(sources.length).toBeGreaterThan(2);
    for (const source of sources) {
      expect(source).not.toMatch(/^(https?:)?\/\//);
      const asset = await api.call({ url: new URL(source, 'http://x/docs/').pathname, as: null });
      expect(asset.statusCode, source).toBe(200);
    }
    // Laid out for a phone, and with our sign in place of the framework's.
    const sayings = await Promise.all(
      ['theme/viewport.js', 'swagger-initializer.js'].map((file) =>
        api.call({ url: `/docs/static/${file}`, as: null }),
      ),
    );
    expect(sources.some((source) => source.endsWith('/theme/viewport.js'))).toBe(true);
    expect(sayings[0]?.body).toContain('width=device-width');
    expect(sayings[1]?.body).toContain(LOGO_URL.split(',')[1]);
    const policy = String(start.headers['content-security-policy']);
    expect(policy).toContain("default-src 'self'");
    expect(policy).not.toMatch(/https?:\/\//);
    const script = await api.call({ url: '/docs/static/swagger-initializer.js', as: null });
    expect(script.body).toContain('"validatorUrl":null');
  });
});

import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MESSAGE_TYPES } from '../../src/model/message.ts';
import { startApi, type Api, type Call } from '../http/support/api.ts';
import { eventually } from '../support/services.ts';

/* Posts every example of docs/sending.md to the real API and compares the answers with those on the page. */

const page = readFileSync(new URL('../../docs/sending.md', import.meta.url), 'utf8');

const docs = new URL('../../docs/', import.meta.url);
const pages = readdirSync(docs)
  .filter((file) => file.endsWith('.md'))
  .map((file) => readFileSync(new URL(file, docs), 'utf8'))
  .join('\n');

interface Example {
  readonly request: string;
  readonly status: number;
  readonly answer: unknown;
}

const blocks = [...page.matchAll(/^```(\S*) ?(.*)\n([\s\S]*?)^```/gm)].map(
  ([, language = '', info = '', text = '']) => ({
    language,
    info,
    text,
  }),
);

const examples = blocks.flatMap(({ language, text }, index): Example[] => {
  if (language !== 'http') return [];
  const next = blocks[index + 1];
  const status = /^answer (\d{3})$/.exec(next?.info ?? '')?.[1];
  if (next === undefined || status === undefined) throw new Error(`The page shows no answer to: ${text}`);
  return [{ request: text, status: Number(status), answer: JSON.parse(next.text) as unknown }];
});

const messages = blocks
  .filter(({ info }) => info === 'message')
  .map(({ text }) => JSON.parse(text) as { type: string });

let api: Api;
let lastId = '';

beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

describe('docs/sending.md', () => {
  it.each(examples.map((example) => [example.request.split('\n')[0] ?? '', example.status, example] as const))(
    '%s answers %d as shown',
    async (_line, status, { request, answer }) => {
      // Lists and timelines are of the record; everything else is there at once.
      if (/timeline|\?/.test(request)) await api.recorded();
      const call = await callOf(request);
      const response = await (call.headers?.['prefer'] === undefined ? api.call(call) : callAndSend(call));
      expect(response.statusCode, response.body).toBe(status);
      const real: unknown = response.json();
      expect(shapeOf(real, answer)).toEqual(shapeOf(answer, real));
      const { id, jobId } = real as { id?: string; jobId?: string };
      lastId = id ?? jobId ?? lastId;
    },
  );

  it.each(messages.map((message) => [message.type, message] as const))(
    'a message of type %s is accepted',
    async (_type, body) => {
      const response = await api.call({ method: 'POST', url: '/v1/messages', body: { to: '+447700900199', ...body } });
      expect(response.statusCode, response.body).toBe(202);
    },
  );

  it('shows every type of message', () => {
    expect([...new Set(messages.map(({ type }) => type))].sort()).toEqual([...MESSAGE_TYPES].sort());
  });

  it('every route that takes a key stands in some page', async () => {
    const { paths } = (await api.call({ url: '/openapi.json' })).json<{
      paths: Record<string, Record<string, { security?: Record<string, unknown>[] }>>;
    }>();
    const routes = Object.entries(paths).flatMap(([path, operations]) =>
      Object.entries(operations)
        .filter(([, { security = [] }]) => security.some((scheme) => 'apiKey' in scheme))
        .map(([method]) => `${method.toUpperCase()} ${path}`),
    );
    // `GET /v1/messages/:id`, `/{id}` or `/<id>`: pages write what a path holds in their own way.
    const told = pages.replace(/[:<{](\w+)[>}]?/g, '{$1}');
    expect(routes.filter((route) => !told.includes(route.replace(/[:<{](\w+)[>}]?/g, '{$1}')))).toEqual([]);
    expect(routes.length).toBeGreaterThan(5);
  });
});

/** `METHOD path`, headers, an empty line, a JSON body. */
async function callOf(request: string): Promise<Call> {
  const tomorrow = new Date(Date.now() + 24 * 3_600_000).toISOString().slice(0, 10);
  const [head = '', ...body] = request.replaceAll('{id}', lastId).replaceAll('{tomorrow}', tomorrow).split('\n\n');
  const [line = '', ...headerLines] = head.trim().split('\n');
  const [method = '', url = ''] = line.split(' ');
  const headers = Object.fromEntries(
    headerLines.map((header): [string, string] => {
      const [name = '', value = ''] = header.split(': ', 2);
      return [name.toLowerCase(), value];
    }),
  );
  return {
    method: method as NonNullable<Call['method']>,
    url,
    headers,
    ...(url.startsWith('/admin/') ? { as: await api.token('admin') } : {}),
    ...(body.length === 0 ? {} : { body: JSON.parse(body.join('\n\n')) as unknown }),
  };
}

/** A caller that waits needs a provider that takes the message. */
async function callAndSend(call: Call) {
  const before = api.queue.accepted.length;
  const answered = api.call(call);
  const message = await eventually(() => api.queue.accepted[before]);
  api.queue.send(message.id);
  return await answered;
}

/**
 * Names and kinds of a value, without the values. What is null on either side is compared as null: whether it is set
 * depends on the moment.
 */
function shapeOf(value: unknown, other: unknown): unknown {
  if (value === null || other === null || other === undefined) return null;
  if (Array.isArray(value)) return value.map((item, index) => shapeOf(item, (other as unknown[])[index]));
  if (typeof value !== 'object') return typeof value;
  const fields = Object.entries(value).map(([name, one]) => {
    const theirs = (other as Record<string, unknown>)[name];
    return [name, theirs === undefined ? 'only here' : shapeOf(one, theirs)];
  });
  return Object.fromEntries(fields) as unknown;
}

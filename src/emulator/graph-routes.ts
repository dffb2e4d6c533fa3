import type { FastifyInstance, FastifyRequest } from 'fastify';
import { authorise, phoneNumberOf, unknownObject, type GraphParams } from './graph-access.ts';
import { GraphError } from './graph-error.ts';
import { displayPhoneNumber, effectiveLimits, verifiedName } from './numbers.ts';
import { createTemplate, listTemplates } from './template-store.ts';
import type { World } from './world.ts';

type GraphRequest = FastifyRequest<{ Params: GraphParams; Querystring: { fields?: string; token?: string } }>;
type Route = GraphRequest['params'];

const UPLOAD_BYTES_MAX = 101 * 1024 * 1024;

/** The rest of the Graph API that a sender needs: numbers, media, templates, subscription. */
export function registerGraph(app: FastifyInstance, world: World): void {
  const both = (path: string): string[] => [`/:version${path}`, path];

  for (const url of both('/:id/media'))
    app.post<{ Params: Route }>(url, { bodyLimit: UPLOAD_BYTES_MAX }, async (request) => {
      authorise(world, request);
      phoneNumberOf(world, request);
      return { id: await upload(world, request) };
    });
  for (const url of both('/:id/message_templates'))
    app.get<{ Params: Route; Querystring: { limit?: string; after?: string } }>(url, (request) => {
      authorise(world, request);
      return listTemplates(world, request.query);
    });
  for (const url of both('/:id/message_templates'))
    app.post<{ Params: Route }>(url, (request) => {
      authorise(world, request);
      return createTemplate(world, request.params.id, request.body);
    });
  for (const url of both('/:id/phone_numbers'))
    app.get<{ Params: Route }>(url, (request) => {
      authorise(world, request);
      const ids = new Set([...Object.keys(world.settings().numbers), ...usedNumbers(world)]);
      return { data: [...ids].map((id) => numberView(world, id)) };
    });
  for (const url of both('/:id/subscribed_apps'))
    app.post<{ Params: Route }>(url, (request) => {
      authorise(world, request);
      return { success: true };
    });
  for (const url of both('/:id')) {
    app.get<{ Params: Route; Querystring: { fields?: string } }>(url, (request) => {
      authorise(world, request);
      return readObject(world, request);
    });
    app.delete<{ Params: Route }>(url, (request) => {
      authorise(world, request);
      if (!world.media.delete(request.params.id)) throw unknownObject(request.params.id, 'delete');
      return { success: true };
    });
  }
  // The address that a medium's `url` names; like Meta's it needs the bearer token and lives five minutes.
  app.get<{ Params: Route; Querystring: { token?: string } }>('/_media/:id/content', (request, reply) => {
    authorise(world, request);
    const item = world.media.find(request.params.id);
    if (!item || item.token === '' || item.token !== request.query.token || Date.now() > item.tokenUntilMs)
      throw new GraphError(100, { status: 404, message: 'The URL has expired: ask for the media id again.' });
    return reply.type(item.mimeType).send(item.bytes);
  });
}

function readObject(
  world: World,
  request: FastifyRequest<{ Params: Route; Querystring: { fields?: string } }>,
): unknown {
  const { id } = request.params;
  const item = world.media.find(id);
  if (item) {
    const token = world.media.issueToken(item);
    return {
      messaging_product: 'whatsapp',
      url: `${request.protocol}://${request.host}/_media/${id}/content?token=${token}`,
      mime_type: item.mimeType,
      sha256: item.sha256,
      file_size: String(item.bytes.length),
      id,
    };
  }
  if (world.media.wasIssued(id) || !/^\d{1,32}$/.test(id)) throw unknownObject(id, 'get');
  if (world.settings().knownNumbersOnly && !(id in world.settings().numbers)) throw unknownObject(id, 'get');
  return pick(numberView(world, id), request.query.fields);
}

function numberView(world: World, id: string): Record<string, unknown> {
  const settings = world.settings();
  const { throughputPerSecond } = effectiveLimits(settings, id);
  return {
    verified_name: verifiedName(settings, id),
    code_verification_status: 'VERIFIED',
    display_phone_number: displayPhoneNumber(settings, id),
    quality_rating: settings.numbers[id]?.qualityRating ?? 'GREEN',
    platform_type: 'CLOUD_API',
    throughput: { level: throughputPerSecond === 0 || throughputPerSecond >= 1000 ? 'HIGH' : 'STANDARD' },
    status: 'CONNECTED',
    whatsapp_business_manager_messaging_limit: 'TIER_UNLIMITED',
    health_status: {
      can_send_message: 'AVAILABLE',
      entities: [{ entity_type: 'PHONE_NUMBER', id, can_send_message: 'AVAILABLE' }],
    },
    ...(settings.webhook.url === null
      ? {}
      : { webhook_configuration: { application: settings.numbers[id]?.webhookUrl ?? settings.webhook.url } }),
    id,
  };
}

const DEFAULT_FIELDS = [
  'verified_name',
  'code_verification_status',
  'display_phone_number',
  'quality_rating',
  'platform_type',
  'throughput',
  'webhook_configuration',
];

function pick(view: Record<string, unknown>, fields: string | undefined): Record<string, unknown> {
  const names = fields === undefined ? DEFAULT_FIELDS : fields.split(',').map((name) => name.trim());
  const picked: Record<string, unknown> = {};
  for (const name of names) {
    if (name in view) picked[name] = view[name];
    else if (fields !== undefined && name !== 'webhook_configuration')
      throw new GraphError(100, {
        message: `(#100) Tried accessing nonexisting field (${name.slice(0, 64)})`,
        details: '',
      });
  }
  return { ...picked, id: view['id'] };
}

function usedNumbers(world: World): string[] {
  return world.numbers
    .all()
    .filter((number) => number.used)
    .map((number) => number.id);
}

/** Reads a multipart upload with the platform's own parser. */
async function upload(world: World, request: FastifyRequest): Promise<string> {
  const type = request.headers['content-type'] ?? '';
  if (!Buffer.isBuffer(request.body) || !type.startsWith('multipart/form-data'))
    throw new GraphError(100, {
      message: '(#100) Invalid parameter',
      details: 'Upload media as multipart/form-data with messaging_product, file and type.',
    });
  let form: FormData;
  try {
    // The advice against `formData()` is about bodies of unknown size; this one is in memory and bounded already.
    // eslint-disable-next-line @typescript-eslint/no-deprecated
    form = await new Response(request.body, { headers: { 'content-type': type } }).formData();
  } catch {
    throw new GraphError(100, { message: '(#100) Invalid parameter', details: 'The multipart body cannot be read.' });
  }
  if (form.get('messaging_product') !== 'whatsapp')
    throw new GraphError(100, { message: '(#100) The parameter messaging_product is required.', details: '' });
  const file = form.get('file');
  if (file === null || typeof file === 'string')
    throw new GraphError(100, { message: '(#100) The parameter file is required.', details: '' });
  const named = form.get('type');
  const mimeType = typeof named === 'string' && named.includes('/') ? named : file.type;
  return world.media.add(Buffer.from(await file.arrayBuffer()), mimeType, file.name).id;
}

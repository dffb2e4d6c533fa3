import { z } from 'zod';
import { headerDocument, headerImage, headerVideo, text, token, unique, url } from './fields.ts';

const bodyOf = (max: number) => z.strictObject({ text: text(max) });
const body = bodyOf(1_024);
const footer = z.strictObject({ text: text(60) }).optional();

const textHeader = z.strictObject({ type: z.literal('text'), text: text(60) });
const header = z.discriminatedUnion('type', [
  textHeader,
  z.strictObject({ type: z.literal('image'), image: headerImage }),
  z.strictObject({ type: z.literal('video'), video: headerVideo }),
  z.strictObject({ type: z.literal('document'), document: headerDocument }),
]);

const buttons = z
  .array(
    z.strictObject({
      type: z.literal('reply'),
      reply: z.strictObject({ id: text(256), title: text(20) }),
    }),
  )
  .min(1)
  .max(3)
  .refine((items) => unique(items, ({ reply }) => reply.id), { error: 'No two buttons may have the same id.' })
  .refine((items) => unique(items, ({ reply }) => reply.title), { error: 'No two buttons may have the same title.' });

const button = z.strictObject({
  type: z.literal('button'),
  header: header.optional(),
  body,
  footer,
  action: z.strictObject({ buttons }),
});

const LIST_ROWS_MAX = 10;
const row = z.strictObject({ id: text(200), title: text(24), description: text(72).optional() });
const listSections = z
  .array(z.strictObject({ title: text(24).optional(), rows: z.array(row).min(1).max(LIST_ROWS_MAX) }))
  .min(1)
  .max(10)
  .refine((sections) => sections.reduce((sum, { rows }) => sum + rows.length, 0) <= LIST_ROWS_MAX, {
    error: `A list may have at most ${LIST_ROWS_MAX} rows in all its sections together.`,
  })
  .refine((sections) => sections.length === 1 || sections.every(({ title }) => title !== undefined), {
    error: 'Every section needs a title when there is more than one.',
  })
  .refine(
    (sections) =>
      unique(
        sections.flatMap(({ rows }) => rows),
        ({ id }) => id,
      ),
    { error: 'No two rows may have the same id.' },
  );

const list = z.strictObject({
  type: z.literal('list'),
  header: textHeader.optional(),
  body: bodyOf(4_096),
  footer,
  action: z.strictObject({ button: text(20), sections: listSections }),
});

const ctaUrl = z.strictObject({
  type: z.literal('cta_url'),
  header: header.optional(),
  body,
  footer,
  action: z.strictObject({
    name: z.literal('cta_url'),
    parameters: z.strictObject({ display_text: text(20), url }),
  }),
});

const flowParameters = z
  .strictObject({
    flow_message_version: z.literal('3'),
    flow_id: token(256).optional(),
    flow_name: text(256).optional(),
    flow_token: text(1_000).optional(),
    flow_cta: text(30),
    mode: z.enum(['draft', 'published']).optional(),
    flow_action: z.enum(['navigate', 'data_exchange']).optional(),
    flow_action_payload: z
      .strictObject({ screen: text(256).optional(), data: z.record(z.string(), z.json()).optional() })
      .optional(),
  })
  .refine(({ flow_id: id, flow_name: name }) => (id === undefined) !== (name === undefined), {
    error: 'Give either flow_id or flow_name, and not both.',
  });

const flow = z.strictObject({
  type: z.literal('flow'),
  header: header.optional(),
  body,
  footer,
  action: z.strictObject({ name: z.literal('flow'), parameters: flowParameters }),
});

const locationRequest = z.strictObject({
  type: z.literal('location_request_message'),
  body,
  action: z.strictObject({ name: z.literal('send_location') }),
});

const contactRequest = z.strictObject({
  type: z.literal('request_contact_info'),
  body,
  action: z.strictObject({ name: z.literal('request_contact_info') }),
});

const product = z.strictObject({
  type: z.literal('product'),
  body: body.optional(),
  footer,
  action: z.strictObject({ catalog_id: token(256), product_retailer_id: text(256) }),
});

const PRODUCTS_MAX = 30;
const productSections = z
  .array(
    z.strictObject({
      title: text(24).optional(),
      product_items: z
        .array(z.strictObject({ product_retailer_id: text(256) }))
        .min(1)
        .max(PRODUCTS_MAX),
    }),
  )
  .min(1)
  .max(10)
  .refine((sections) => sections.reduce((sum, { product_items: items }) => sum + items.length, 0) <= PRODUCTS_MAX, {
    error: `A product list may have at most ${PRODUCTS_MAX} products in all its sections together.`,
  })
  .refine((sections) => sections.length === 1 || sections.every(({ title }) => title !== undefined), {
    error: 'Every section needs a title when there is more than one.',
  });

const productList = z.strictObject({
  type: z.literal('product_list'),
  header: textHeader,
  body,
  footer,
  action: z.strictObject({ catalog_id: token(256), sections: productSections }),
});

const catalog = z.strictObject({
  type: z.literal('catalog_message'),
  body,
  footer,
  action: z.strictObject({
    name: z.literal('catalog_message'),
    parameters: z.strictObject({ thumbnail_product_retailer_id: text(256) }).optional(),
  }),
});

/** `interactive`: everything that the customer answers with a tap. */
export const interactiveContent = z.discriminatedUnion('type', [
  button,
  list,
  ctaUrl,
  flow,
  locationRequest,
  contactRequest,
  product,
  productList,
  catalog,
]);

import { z } from 'zod';
import { headerDocument, headerImage, headerVideo, location, text, token } from './fields.ts';

/** Needed when the template uses named parameters. */
const name = { parameter_name: text(256).optional() };

const money = z.strictObject({
  fallback_value: text(1_024),
  code: z.string().regex(/^[A-Z]{3}$/, { error: 'It must be a currency code such as EUR.' }),
  amount_1000: z.int().describe('The amount times 1,000.'),
});

/** Everything beside `fallback_value` is what Meta ignores today, so its fields are not checked one by one. */
const dateTime = z.looseObject({ fallback_value: text(1_024) });

const parameter = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text'), text: text(1_024), ...name }),
  z.strictObject({ type: z.literal('currency'), currency: money, ...name }),
  z.strictObject({ type: z.literal('date_time'), date_time: dateTime, ...name }),
  z.strictObject({ type: z.literal('image'), image: headerImage, ...name }),
  z.strictObject({ type: z.literal('video'), video: headerVideo, ...name }),
  z.strictObject({ type: z.literal('document'), document: headerDocument, ...name }),
  z.strictObject({ type: z.literal('location'), location, ...name }),
  z.strictObject({
    type: z.literal('product'),
    product: z.strictObject({ product_retailer_id: text(256), catalog_id: token(256) }),
  }),
]);

const buttonParameter = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('payload'), payload: text(256) }),
  z.strictObject({ type: z.literal('text'), text: text(2_000), ...name }),
  z.strictObject({ type: z.literal('coupon_code'), coupon_code: text(20) }),
  z.strictObject({ type: z.literal('action'), action: z.record(z.string(), z.json()) }),
]);

/** Meta takes the button's place as a number and as text. */
const INDEX_SENTENCE = "It must be the button's place in the template, from 0 to 9.";
const index = z
  .union([z.number(), z.string()], { error: INDEX_SENTENCE })
  .refine((value) => /^[0-9]$/.test(String(value)), { error: INDEX_SENTENCE })
  .describe('Place of the button in the template, 0 to 9, as a number or as text.');

const header = z.strictObject({ type: z.literal('header'), parameters: z.array(parameter).min(1).max(1) });
const body = z.strictObject({ type: z.literal('body'), parameters: z.array(parameter).min(1).max(100) });
const button = z.strictObject({
  type: z.literal('button'),
  sub_type: z.enum([
    'quick_reply',
    'url',
    'copy_code',
    'flow',
    'catalog',
    'mpm',
    'spm',
    'voice_call',
    'phone_number',
    'order_details',
  ]),
  index,
  parameters: z.array(buttonParameter).min(1).max(10).optional(),
});

const card = z.strictObject({
  card_index: z.int().min(0).max(9),
  components: z
    .array(z.discriminatedUnion('type', [header, body, button]))
    .min(1)
    .max(12),
});
const carousel = z.strictObject({ type: z.literal('carousel'), cards: z.array(card).min(1).max(10) });
const limitedTimeOffer = z.strictObject({
  type: z.literal('limited_time_offer'),
  parameters: z
    .array(
      z.strictObject({
        type: z.literal('limited_time_offer'),
        limited_time_offer: z.strictObject({ expiration_time_ms: z.int().positive() }),
      }),
    )
    .length(1),
});

const component = z.discriminatedUnion('type', [header, body, button, carousel, limitedTimeOffer]);
type Component = z.infer<typeof component>;

function hasEachOnce(components: readonly Component[]): boolean {
  const single = components.filter(({ type }) => type !== 'button').map(({ type }) => type);
  const buttons = components.flatMap((item) => (item.type === 'button' ? [Number(item.index)] : []));
  return new Set(single).size === single.length && new Set(buttons).size === buttons.length;
}

/** `template`: a message that Meta approved, with its variables filled in. */
export const templateContent = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9_]{1,512}$/, { error: 'It may have lower-case letters, digits and _ only, at most 512.' }),
  language: z.strictObject({
    code: z
      .string()
      .regex(/^[a-z]{2,3}(_[A-Za-z0-9]{2,4})?$/, { error: 'It must be a language code such as en or pt_BR.' }),
    policy: z.literal('deterministic').optional(),
  }),
  components: z
    .array(component)
    .max(20)
    .refine(hasEachOnce, {
      error: 'Each component may stand there once, and no two buttons may have the same index.',
    })
    .optional(),
});

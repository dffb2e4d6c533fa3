import { z } from 'zod';
import { audio, contextSchema, document, image, location, sticker, video } from './fields.ts';
import { interactiveContent } from './interactive.ts';
import { contactsContent, reactionContent, textContent } from './simple.ts';
import { templateContent } from './template.ts';

/**
 * The message part of a request, `{type, <type>: {…}, context?}`: the same objects as Meta's Cloud API takes, with
 * its limits, so that what would be refused there is refused before anything is stored.
 * @see https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages
 */

/**
 * Joins the message part with other fields of a request into one strict schema, discriminated by `type`. Fields that
 * neither part knows are refused, also the object of another type. Use it instead of an intersection, in which each
 * strict half would refuse the fields of the other.
 * @param fields the request's other fields, e.g. `{to: …, priority: …}`
 */
export function withContent<Fields extends z.core.$ZodLooseShape>(fields: Fields) {
  const context = contextSchema.optional();
  return z.discriminatedUnion('type', [
    z.strictObject({ ...fields, context, type: z.literal('text'), text: textContent }),
    z.strictObject({ ...fields, context, type: z.literal('template'), template: templateContent }),
    z.strictObject({ ...fields, context, type: z.literal('image'), image }),
    z.strictObject({ ...fields, context, type: z.literal('document'), document }),
    z.strictObject({ ...fields, context, type: z.literal('audio'), audio }),
    z.strictObject({ ...fields, context, type: z.literal('video'), video }),
    z.strictObject({ ...fields, context, type: z.literal('sticker'), sticker }),
    z.strictObject({ ...fields, context, type: z.literal('location'), location }),
    z.strictObject({ ...fields, context, type: z.literal('contacts'), contacts: contactsContent }),
    z.strictObject({ ...fields, context, type: z.literal('reaction'), reaction: reactionContent }),
    z.strictObject({ ...fields, context, type: z.literal('interactive'), interactive: interactiveContent }),
  ]);
}

/** `{type, <type>: {…}, context?}` and nothing else. */
export const contentSchema = withContent({});

/** A valid message part. */
export type MessageContent = z.infer<typeof contentSchema>;

/** The object named after `type`, as `MessageBody.content` stores it. */
export function contentOf(message: MessageContent): unknown {
  return (message as Readonly<Record<string, unknown>>)[message.type];
}

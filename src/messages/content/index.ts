export { contextSchema } from './fields.ts';
export { canonicalContact } from '../../util/canonical-contact.ts';
export { parseRecipient, recipientSchema, type ParsedRecipient } from './recipient.ts';
export { contentOf, contentSchema, withContent, type MessageContent } from './schema.ts';
export { describeViolations, type Violation } from './violations.ts';

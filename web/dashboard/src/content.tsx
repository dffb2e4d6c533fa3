/** A message's content in a few words, whatever its type. What an admin has not asked to see arrives masked. */
export function wordsOf(type: string, content: unknown): string {
  const object = (typeof content === 'object' && content !== null ? content : {}) as Record<string, unknown>;
  const text = (value: unknown) => (typeof value === 'string' ? value : null);
  const body = text(object['body']) ?? text((object['body'] as Record<string, unknown> | undefined)?.['text']);
  if (body !== null) return body;
  const caption = text(object['caption']);
  switch (type) {
    case 'template':
      return `Template ${text(object['name']) ?? ''}`.trim();
    case 'location':
      return ['Location', text(object['name'])].filter((one) => one !== null).join(': ');
    case 'reaction':
      return `Reaction ${text(object['emoji']) ?? ''}`.trim();
    case 'contacts':
      return 'Contact card';
    default:
      return caption ?? type.charAt(0).toUpperCase() + type.slice(1).replaceAll('_', ' ');
  }
}

/** Why a letter was left where it is. */
export type SkipReason = 'expired' | 'window-closed' | 'backlog-full' | 'in-flight' | 'unknown-sender' | 'held';

export const SKIP_SENTENCES: Readonly<Record<SkipReason, string>> = {
  expired: 'The message has expired: it must not be sent any more. Discard it, or send a new one.',
  'window-closed':
    'More than 24 hours have passed since the person wrote: only a template may be sent. Discard it, or send a template.',
  'backlog-full': "The tenant's backlog is full. Redrive it again when it has shrunk.",
  'in-flight': 'The message is on its way again already.',
  'unknown-sender': 'Its sender does not exist any more.',
  held: 'The queue does not hold it any more. Read the message again.',
};

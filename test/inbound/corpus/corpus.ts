/** One webhook that a provider may post. */
export interface Sample {
  /** What it becomes: `message`, or the kind of an event. */
  readonly kind: string;
  /** The type of the message, or the event's own word. */
  readonly type: string;
  /** The provider's id of the message; empty for events. */
  readonly id: string;
  readonly post: {
    readonly path: string;
    readonly body: string;
    readonly headers: Readonly<Record<string, string>>;
  };
}

/** What one provider may post, each with a real proof of its origin. */
export interface Corpus {
  /** One of every kind. */
  readonly samples: readonly Sample[];
  /** Messages of every type in turn, in as few posts as the provider makes of them. */
  batch(count: number, phone: (index: number) => string): readonly Sample['post'][];
  status(id: string, word: string, atMs: number): Sample['post'];
  /** The provider's words for the statuses. */
  readonly words: Readonly<Record<'sent' | 'delivered' | 'read' | 'failed', string>>;
}

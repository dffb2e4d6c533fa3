export interface Finding {
  /** A remark is worth knowing; a finding means that a promise is broken or cannot be kept. */
  readonly severity: 'finding' | 'remark';
  readonly about: string;
  readonly detail: string;
  /** All of the messages that it is about, for a program that acts on them; `detail` names some. */
  readonly messageIds?: readonly string[];
}

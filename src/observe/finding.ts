export interface Finding {
  /** A remark is worth knowing; a finding means that a promise is broken or cannot be kept. */
  readonly severity: 'finding' | 'remark';
  readonly about: string;
  readonly detail: string;
}

/** Collects the conditions of a `where` clause with their parameters. The texts are constants of the callers. */
export class Conditions {
  readonly values: unknown[] = [];
  readonly #texts: string[] = [];

  /** Adds a parameter and returns its placeholder. */
  value(value: unknown): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }

  add(text: string): this {
    this.#texts.push(text);
    return this;
  }

  /** Adds `text` with `?` replaced by the parameter's place, unless the value is undefined. */
  when(value: unknown, text: string): this {
    return value === undefined ? this : this.add(text.replace('?', this.value(value)));
  }

  /** `where …`, or nothing. */
  get where(): string {
    return this.#texts.length === 0 ? '' : `where ${this.#texts.join(' and ')}`;
  }
}

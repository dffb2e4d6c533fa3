/** Values of a label, at most so many: the first ones by name, all later ones as `other`. */
export class BoundedNames {
  readonly #max: number;
  readonly #known = new Set<string>();

  /** @param max ≥ 0; 0 = every value is `other` */
  constructor(max: number) {
    this.#max = max;
  }

  /** The value itself while there is room for it, else `other`. The same value always gives the same answer. */
  of(value: string): string {
    if (this.#known.has(value)) return value;
    if (this.#known.size >= this.#max) return OTHER;
    this.#known.add(value);
    return value;
  }
}

export const OTHER = 'other';

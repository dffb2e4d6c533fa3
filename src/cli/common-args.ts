/* Arguments that mean the same in every command. */

export const url = {
  type: 'string',
  description: 'Address of the program (without it: from HOST and PORT)',
  valueHint: 'address',
} as const;

export const json = { type: 'boolean', description: 'Print JSON instead of text' } as const;

/** A list that is cut says so, apart from what it lists. */
export function tellOfMore({ next }: { readonly next?: string | null | undefined }): void {
  if (typeof next === 'string') console.error('There are more: raise --limit, or choose with the other options.');
}

/** The filters of `filters` that were given. */
export function given<Filters extends Readonly<Record<string, unknown>>>(
  filters: Filters,
  args: { readonly [Name in keyof Filters]?: string | undefined },
): { readonly [Name in keyof Filters]?: string } {
  const names = Object.keys(filters) as (keyof Filters)[];
  const pairs = names.flatMap((name) => (args[name] === undefined ? [] : [[name, args[name]]]));
  return Object.fromEntries(pairs) as { readonly [Name in keyof Filters]?: string };
}

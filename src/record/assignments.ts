/**
 * The `set` list of an update for the columns whose value is given; undefined = leave as it is, null = make null.
 * @param columns names from the code, never from a caller
 * @param first number of the first parameter
 */
export function assignments(
  columns: Readonly<Record<string, unknown>>,
  first: number,
): { readonly text: string; readonly values: unknown[] } {
  const given = Object.entries(columns).filter(([, value]) => value !== undefined);
  return {
    text: given.map(([name], index) => `${name} = $${first + index}`).join(', '),
    values: given.map(([, value]) => value),
  };
}

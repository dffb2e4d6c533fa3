/** SQL types of columns that go to a statement as arrays. */
type ColumnType = 'text' | 'integer' | 'bigint' | 'smallint' | 'boolean' | 'uuid' | 'timestamptz' | 'jsonb' | 'bytea';

type Scalar = string | number | boolean | Buffer | null;

/**
 * Many rows as the parameters of one statement: an array per column, joined again by `unnest`. One statement text
 * serves any number of rows, so it is prepared once; `values (…), (…)` would be another text for every count.
 */
export interface RowSet<Name extends string> {
  /** How many parameters it takes: one per column. */
  readonly width: number;
  /** For the `from` clause: `unnest($1::uuid[], …) as <alias> (id, …)`. @param first number of the first parameter */
  from(alias: string, first?: number): string;
  /** The parameters, in the order of the columns. JSON goes in as text. */
  parameters(rows: readonly Readonly<Record<Name, Scalar>>[]): Scalar[][];
}

export function rowSet<Name extends string>(columns: Readonly<Record<Name, ColumnType>>): RowSet<Name> {
  const names = Object.keys(columns) as Name[];
  const arrays = (first: number) => names.map((name, index) => `$${first + index}::${columns[name]}[]`).join(', ');
  return {
    width: names.length,
    from: (alias, first = 1) => `unnest(${arrays(first)}) as ${alias} (${names.join(', ')})`,
    parameters: (rows) => names.map((name) => rows.map((row) => row[name])),
  };
}

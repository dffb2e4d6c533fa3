/** SQL types of columns that go to a statement as arrays. */
type ColumnType = 'text' | 'integer' | 'bigint' | 'smallint' | 'boolean' | 'uuid' | 'timestamptz' | 'jsonb';

type Scalar = string | number | boolean | null;

/**
 * Many rows as the parameters of one statement: an array per column, joined again by `unnest`. One statement text
 * serves any number of rows, so it is prepared once; `values (…), (…)` would be another text for every count.
 */
export interface RowSet<Name extends string> {
  /** For the `from` clause: `unnest($1::uuid[], …) as <alias> (id, …)`. The parameters start at $1. */
  from(alias: string): string;
  /** The parameters, in the order of the columns. JSON goes in as text. */
  parameters(rows: readonly Readonly<Record<Name, Scalar>>[]): Scalar[][];
}

export function rowSet<Name extends string>(columns: Readonly<Record<Name, ColumnType>>): RowSet<Name> {
  const names = Object.keys(columns) as Name[];
  const arrays = names.map((name, index) => `$${index + 1}::${columns[name]}[]`).join(', ');
  return {
    from: (alias) => `unnest(${arrays}) as ${alias} (${names.join(', ')})`,
    parameters: (rows) => names.map((name) => rows.map((row) => row[name])),
  };
}

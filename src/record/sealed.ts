import type { SecretBox } from '../util/secret-box.ts';
import type { Database, Row } from './database.ts';

/** A column of envelopes (src/util/secret-box.ts) and what each belongs to. A new sealed column gets a line here. */
interface SealedColumn {
  readonly table: string;
  /** Primary key, a text. */
  readonly id: string;
  readonly column: string;
  /** Additional data of the envelope in the row with this id. */
  readonly contextOf: (id: string) => string;
}

/** Envelopes are bound to their sender: credentials that are copied to another row do not open there. */
export const senderContext = (id: string): string => `sender:${id}`;

const SEALED: readonly SealedColumn[] = [
  { table: 'senders', id: 'id', column: 'credentials', contextOf: senderContext },
];

export interface Resealed {
  /** Envelopes that were sealed anew with the current key. */
  readonly resealed: number;
  /** Those that already were. */
  readonly current: number;
  /** `table id` of those that no key at hand opens; they stay as they are. */
  readonly unreadable: readonly string[];
}

/** Stored secrets as a whole. */
export interface Sealed {
  /** Seals everything with the current key. Safe to repeat, and beside running programs that have both keys. */
  rotate(): Promise<Resealed>;
}

export function sealedOf(database: Database, box: SecretBox): Sealed {
  return {
    async rotate() {
      let resealed = 0;
      let current = 0;
      const unreadable: string[] = [];
      for (const { table, id: idColumn, column, contextOf } of SEALED) {
        const rows = await database.query<Row & { id: string }>(
          `select ${idColumn} as id from ${table} where ${column} is not null order by 1`,
        );
        for (const { id } of rows) {
          const outcome = await database.transaction(async (run) => {
            // The lock keeps a change of the secret, which comes meanwhile, from being undone.
            const [row] = await run<Row & { envelope: Buffer }>(
              `select ${column} as envelope from ${table} where ${idColumn} = $1 for update`,
              [id],
            );
            if (row === undefined) return 'gone';
            if (box.isCurrent(row.envelope)) return 'current';
            const plaintext = opened(box, row.envelope, contextOf(id));
            if (plaintext === null) return 'unreadable';
            await run(`update ${table} set ${column} = $2 where ${idColumn} = $1`, [
              id,
              box.seal(plaintext, contextOf(id)),
            ]);
            return 'resealed';
          });
          if (outcome === 'resealed') resealed += 1;
          else if (outcome === 'current') current += 1;
          else if (outcome === 'unreadable') unreadable.push(`${table} ${id}`);
        }
      }
      return { resealed, current, unreadable };
    },
  };
}

function opened(box: SecretBox, envelope: Buffer, context: string): string | null {
  try {
    return box.open(envelope, context);
  } catch {
    return null;
  }
}

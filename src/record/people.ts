import { AppError } from '../errors/app-error.ts';
import { newId } from '../util/ids.ts';
import { assignments } from './assignments.ts';
import type { Database, Row } from './database.ts';
import { isUniqueViolation } from './sql-errors.ts';
import type { PersonRecord, PersonRole } from './types.ts';

/** People who sign in with a name and a password. Names are read without regard to case. */
export interface People {
  /** @throws AppError `CONFLICT` when the name is taken */
  add(person: {
    readonly name: string;
    readonly role: PersonRole;
    readonly passwordHash: string;
  }): Promise<PersonRecord>;
  /** With the hash, for checking a password; null for an unknown name. */
  find(name: string): Promise<(PersonRecord & { readonly passwordHash: string }) | null>;
  /** All, by name. */
  list(): Promise<PersonRecord[]>;
  /**
   * Changes what is given. A new password and being disabled end all sessions of the person; a new role counts in
   * them at once. Null for an unknown name.
   */
  update(
    name: string,
    change: {
      readonly role?: PersonRole | undefined;
      readonly passwordHash?: string | undefined;
      readonly isDisabled?: boolean | undefined;
    },
  ): Promise<PersonRecord | null>;
}

interface PersonRow extends Row {
  readonly id: string;
  readonly name: string;
  readonly role: PersonRole;
  readonly password_hash: string;
  readonly created_at: Date;
  readonly last_signed_in_at: Date | null;
  readonly disabled_at: Date | null;
}

export function peopleOf(database: Database): People {
  return {
    async add({ name, role, passwordHash }) {
      try {
        const [row] = await database.query<PersonRow>(
          'insert into people (id, name, role, password_hash) values ($1, $2, $3, $4) returning *',
          [newId(), name.toLowerCase(), role, passwordHash],
        );
        if (row === undefined) throw new AppError('INTERNAL');
        return fromRow(row);
      } catch (error) {
        if (!isUniqueViolation(error)) throw error;
        throw new AppError('CONFLICT', { field: 'name', detail: 'A person has this name already.', cause: error });
      }
    },

    async find(name) {
      const [row] = await database.query<PersonRow>('select * from people where name = $1', [name.toLowerCase()]);
      return row === undefined ? null : { ...fromRow(row), passwordHash: row.password_hash };
    },

    async list() {
      return (await database.query<PersonRow>('select * from people order by name')).map(fromRow);
    },

    update: (name, { role, passwordHash, isDisabled }) =>
      database.transaction(async (run) => {
        const now = new Date();
        const set = assignments(
          {
            role,
            password_hash: passwordHash,
            password_changed_at: passwordHash === undefined ? undefined : now,
            disabled_at: isDisabled === undefined ? undefined : isDisabled ? now : null,
          },
          2,
        );
        const [row] =
          set.values.length === 0
            ? await run<PersonRow>('select * from people where name = $1', [name.toLowerCase()])
            : await run<PersonRow>(`update people set ${set.text} where name = $1 returning *`, [
                name.toLowerCase(),
                ...set.values,
              ]);
        if (row === undefined) return null;
        if (passwordHash !== undefined || isDisabled === true) {
          await run('update sessions set ended_at = now() where person_id = $1 and ended_at is null', [row.id]);
        }
        return fromRow(row);
      }),
  };
}

function fromRow(row: PersonRow): PersonRecord {
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    createdAtMs: row.created_at.getTime(),
    lastSignedInAtMs: row.last_signed_in_at?.getTime() ?? null,
    disabledAtMs: row.disabled_at?.getTime() ?? null,
  };
}

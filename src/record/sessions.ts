import { newId } from '../util/ids.ts';
import type { Database, Row } from './database.ts';
import type { PersonRole, SessionRecord } from './types.ts';

/** Sessions of the pages: what a session cookie stands for. */
export interface Sessions {
  /** Opens one and forgets those that ended long ago. */
  open(session: {
    /** Null = signed in with a token: name and role are the token's. */
    readonly personId: string | null;
    readonly name: string;
    readonly role: PersonRole;
    readonly network: string;
    /** Epoch ms. */
    readonly expiresAtMs: number;
  }): Promise<SessionRecord>;
  /** One that is open, with the person's role as it is now; null when it ended, expired, or the person is disabled. */
  find(id: string): Promise<SessionRecord | null>;
  /** Ends one; a second time changes nothing. */
  end(id: string): Promise<void>;
}

interface SessionRow extends Row {
  readonly id: string;
  readonly name: string;
  readonly role: PersonRole;
  readonly expires_at: Date;
}

export function sessionsOf(database: Database): Sessions {
  return {
    async open({ personId, name, role, network, expiresAtMs }) {
      const id = newId();
      await database.transaction(async (run) => {
        await run(
          'insert into sessions (id, person_id, name, role, network, expires_at) values ($1, $2, $3, $4, $5, $6)',
          [id, personId, name, role, network, new Date(expiresAtMs)],
        );
        if (personId !== null) await run('update people set last_signed_in_at = now() where id = $1', [personId]);
        // A month of them tells from where a person signs in; older ones tell nobody anything.
        await run("delete from sessions where expires_at < now() - interval '30 days'");
      });
      return { id, name, role, expiresAtMs };
    },

    async find(id) {
      const [row] = await database.query<SessionRow>(
        `select s.id, s.name, coalesce(p.role, s.role) as role, s.expires_at
         from sessions s left join people p on p.id = s.person_id
         where s.id = $1 and s.ended_at is null and s.expires_at > now() and p.disabled_at is null`,
        [id],
      );
      if (row === undefined) return null;
      return { id: row.id, name: row.name, role: row.role, expiresAtMs: row.expires_at.getTime() };
    },

    async end(id) {
      await database.query('update sessions set ended_at = coalesce(ended_at, now()) where id = $1', [id]);
    },
  };
}

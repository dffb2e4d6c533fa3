import { createHash } from 'node:crypto';
import type { Database, Row, Run } from './database.ts';

/** When the next try is looked at after so many failures in a row. */
export interface BackOff {
  /** Failures that cost no wait. */
  readonly free: number;
  /** Wait after the first failure beyond those, ms; doubles with every further one. */
  readonly firstMs: number;
  /** Longest wait, ms: nobody is locked out for good. */
  readonly longestMs: number;
}

/**
 * Brakes on guessing passwords, shared by all processes. A try is counted before its password is looked at, in one
 * statement per brake: however many arrive at once, no more than the free ones get through.
 */
export interface SignInAttempts {
  /**
   * Counts a try for an account from a network.
   * @param account as it was typed; whether it exists makes no difference. Null = only the network counts.
   * @returns null = go on; a number = refused, and how long to wait, ms
   */
  begin(account: string | null, network: string): Promise<number | null>;
  /** Forgets the failures of the account, and this one try of the network. */
  succeeded(account: string | null, network: string): Promise<void>;
}

export interface SignInAttemptsOptions {
  readonly account?: BackOff;
  readonly network?: BackOff;
}

const ACCOUNT: BackOff = { free: 5, firstMs: 1000, longestMs: 15 * 60_000 };
/** Many people may share a network. */
const NETWORK: BackOff = { free: 20, firstMs: 1000, longestMs: 15 * 60_000 };

/** Ends the transaction without keeping what it counted. */
class Refused extends Error {
  readonly waitMs: number;
  constructor(waitMs: number) {
    super('refused');
    this.waitMs = waitMs;
  }
}

export function signInAttemptsOf(database: Database, options: SignInAttemptsOptions = {}): SignInAttempts {
  const { account: ofAccount = ACCOUNT, network: ofNetwork = NETWORK } = options;

  /**
   * The brake of an account. A network from which the person signed in during the last month has one of its own, so
   * that strangers who guess at the account cannot keep its owner out.
   */
  async function accountKey(run: Run, account: string, network: string): Promise<string> {
    const name = account.toLowerCase();
    const hash = createHash('sha256').update(name).digest('base64');
    const [known] = await run(
      `select 1 from sessions s join people p on p.id = s.person_id
       where p.name = $1 and s.network = $2 and s.opened_at > now() - interval '30 days' limit 1`,
      [name, network],
    );
    return known === undefined ? `account ${hash}` : `account ${hash} from ${network}`;
  }

  async function count(run: Run, key: string, { free, firstMs, longestMs }: BackOff): Promise<void> {
    const [counted] = await run<{ failures: number }>(
      `insert into sign_in_attempts as a (key, failures, free_at) values ($1, 1, now())
       on conflict (key) do update set
         failures = case when a.last_at < now() - interval '1 day' then 1 else least(a.failures + 1, 1000) end,
         last_at = now(),
         free_at = now() + case
           when a.last_at < now() - interval '1 day' or a.failures + 1 < $2 then interval '0'
           else least($4, $3 * power(2, least(a.failures + 1 - $2, 40))) * interval '1 millisecond' end
       where a.free_at <= now()
       returning failures`,
      [key, free, firstMs, longestMs],
    );
    if (counted !== undefined) {
      // A new row is as good a time as any to forget old ones.
      if (counted.failures === 1) {
        await run("delete from sign_in_attempts where last_at < now() - interval '1 day'");
      }
      return;
    }
    const [row] = await run<Row & { wait_ms: number }>(
      'select ceil(extract(epoch from free_at - now()) * 1000)::float8 as wait_ms from sign_in_attempts where key = $1',
      [key],
    );
    throw new Refused(Math.max(1, row?.wait_ms ?? firstMs));
  }

  return {
    async begin(account, network) {
      try {
        await database.transaction(async (run) => {
          await count(run, `network ${network}`, ofNetwork);
          if (account !== null) await count(run, await accountKey(run, account, network), ofAccount);
        });
        return null;
      } catch (error) {
        if (error instanceof Refused) return error.waitMs;
        throw error;
      }
    },

    async succeeded(account, network) {
      await database.transaction(async (run) => {
        // Not all of the network's: an attacker with one good account would wipe the brake clean with it.
        await run(
          'update sign_in_attempts set failures = greatest(failures - 1, 0), free_at = least(free_at, now()) where key = $1',
          [`network ${network}`],
        );
        if (account === null) return;
        await run('delete from sign_in_attempts where key = $1', [await accountKey(run, account, network)]);
      });
    },
  };
}

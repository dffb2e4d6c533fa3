import type { RedisClient } from '../../engine/connection.ts';
import { ALERT_KEY_LETTERS, shardPrefix } from '../../engine/keys.ts';
import type { Figure } from '../../model/figures.ts';
import type { Alert } from './state.ts';
import type { Notice } from './notices.ts';

/** What all processes share about alerts: kept in the queue's Redis. */
export interface AlertState {
  readonly alerts: readonly Alert[];
  /** What is still to be sent, oldest first. */
  readonly outbox: readonly Notice[];
  /** When and by which process the rules were last looked at. */
  readonly evaluatedAtMs: number;
  readonly by: string;
}

export interface Meeting {
  /** This process evaluates, until it misses its turns. */
  readonly isLeader: boolean;
  /** Figures of the other living processes. */
  readonly others: readonly Figure[];
  readonly state: AlertState | null;
}

export interface AlertStore {
  /**
   * Tells the others this process' own figures, learns theirs, and takes or keeps the lease when it is free.
   * @throws when Redis cannot be reached
   */
  meet(process: string, figures: readonly Figure[]): Promise<Meeting>;
  /** Writes the state, unless another process leads by now. @throws when Redis cannot be reached */
  save(process: string, state: AlertState): Promise<boolean>;
  /** Leaves: another process may lead at once. */
  leave(process: string): Promise<void>;
}

/** A leader that is silent for this long is replaced. */
const LEASE_MS = 15_000;
/** Figures of a process that is silent for this long no longer count. */
const FIGURES_MS = 30_000;

// All keys have one hash tag. The lease is judged in one step; Redis' own clock keeps it.
const MEET = `
local leads = redis.call('GET', KEYS[1])
if not leads or leads == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  leads = ARGV[1]
end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('HSET', KEYS[2], ARGV[1], string.format('%d|', now) .. ARGV[4])
local all, others = redis.call('HGETALL', KEYS[2]), {}
for i = 1, #all, 2 do
  local at, text = string.match(all[i + 1], '^(%d+)|(.*)$')
  if now - tonumber(at) > tonumber(ARGV[3]) then
    redis.call('HDEL', KEYS[2], all[i])
  elseif all[i] ~= ARGV[1] then
    others[#others + 1] = text
  end
end
return { leads == ARGV[1] and 1 or 0, others, redis.call('GET', KEYS[3]) or '' }`;

const SAVE = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[3], ARGV[2])
return 1`;

const LEAVE = `
redis.call('HDEL', KEYS[2], ARGV[1])
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end`;

export function redisAlertStore(client: RedisClient): AlertStore {
  const prefix = shardPrefix(0);
  const { lease, figures: processes, alerts } = ALERT_KEY_LETTERS;
  const keys = [lease, processes, alerts].map((letters) => prefix + letters);
  const run = async (script: string, args: readonly (string | number)[]) =>
    await client.eval(script, keys.length, ...keys, ...args);
  return {
    async meet(process, figures) {
      const reply = await run(MEET, [process, LEASE_MS, FIGURES_MS, JSON.stringify(figures)]);
      const [leads, others, state] = reply as [number, string[], string];
      return {
        isLeader: leads === 1,
        others: others.flatMap((text) => JSON.parse(text) as Figure[]),
        state: state === '' ? null : (JSON.parse(state) as AlertState),
      };
    },
    save: async (process, state) => (await run(SAVE, [process, JSON.stringify(state)])) === 1,
    leave: async (process) => {
      await run(LEAVE, [process]);
    },
  };
}

/*
 * How long a line takes that shares a sender: a fluid model of the engine's turns. Tenants share the sender's pace by
 * weight, none gets more than its own places allow, and what one cannot use the others share.
 */

/** What one tenant wants of a sender. */
export interface Demand {
  /** Messages that wait. */
  readonly messages: number;
  readonly weight: number;
  /** Attempts that it may have in flight at once. */
  readonly places: number;
  /** How many tenants like this one there are: a sample stands for more than itself. */
  readonly times: number;
}

/** What the sender and its workers can do. */
export interface Supply {
  /** 0 = no limit. */
  readonly ratePerSecond: number;
  /** Messages that may start at once before the rate counts. */
  readonly tokens: number;
  /** Places of the sender, and of the workers together: the fewer count. */
  readonly places: number;
  /** For how long one message keeps its places, ms. */
  readonly placeMs: number;
}

export interface Course {
  /** Until so many messages of ours have had their turn, ms. */
  readonly ms: number;
  /** Messages of others that go meanwhile. */
  readonly others: number;
  /** What bounds our pace at the end of it. */
  readonly limitedBy: 'rate' | 'sender-places' | 'tenant-places' | 'nothing';
  /** Our pace at the end of it, messages per second. */
  readonly perSecond: number;
}

const ENOUGH = 1e-6;

/** Follows the line until `messages` of ours have gone. */
export function follow(
  messages: number,
  our: Omit<Demand, 'messages' | 'times'>,
  rest: readonly Demand[],
  supply: Supply,
): Course {
  const others = rest.filter((demand) => demand.messages > 0 && demand.times > 0).map((demand) => ({ ...demand }));
  const byPlaces = supply.places / supply.placeMs;
  const byRate = supply.ratePerSecond === 0 ? Infinity : supply.ratePerSecond / 1000;
  let left = messages;
  let tokens = byRate === Infinity ? 0 : supply.tokens;
  let ms = 0;
  let gone = 0;
  for (;;) {
    // While tokens of the burst are left, the rate does not count.
    const pace = tokens > ENOUGH ? byPlaces : Math.min(byPlaces, byRate);
    const shares = share(pace, [{ ...our, messages: left, times: 1 }, ...others], supply.placeMs);
    const [own = 0] = shares;
    const total = shares.reduce(
      (sum, one, index) => sum + one * (index === 0 ? 1 : (others[index - 1]?.times ?? 0)),
      0,
    );
    const stepMs = Math.min(
      left / own,
      ...others.map((demand, index) =>
        shares[index + 1] === 0 ? Infinity : demand.messages / (shares[index + 1] ?? 1),
      ),
      tokens > ENOUGH ? tokens / Math.max(ENOUGH, total - Math.min(total, byRate)) : Infinity,
    );
    if (left <= ENOUGH) {
      return {
        ms,
        others: Math.round(gone),
        limitedBy: limitOf(own, pace, byPlaces, our.places / supply.placeMs),
        perSecond: own * 1000,
      };
    }
    ms += stepMs;
    left -= own * stepMs;
    tokens -= (total - Math.min(total, byRate)) * stepMs;
    if (tokens <= ENOUGH) tokens = 0;
    for (const [index, demand] of others.entries()) {
      const served = (shares[index + 1] ?? 0) * stepMs;
      gone += Math.min(demand.messages, served) * demand.times;
      demand.messages -= served;
    }
    for (let index = others.length - 1; index >= 0; index -= 1)
      if ((others[index]?.messages ?? 0) <= ENOUGH) others.splice(index, 1);
  }
}

function limitOf(own: number, pace: number, byPlaces: number, byOwnPlaces: number): Course['limitedBy'] {
  if (own >= byOwnPlaces * 0.999) return 'tenant-places';
  return pace < byPlaces * 0.999 ? 'rate' : 'sender-places';
}

/** Messages per ms for each: by weight, at most what its own places allow; what is left over is shared again. */
function share(pace: number, demands: readonly Demand[], placeMs: number): number[] {
  const given = demands.map(() => 0);
  let open = demands.map((_, index) => index);
  let left = pace;
  while (open.length > 0 && left > 0) {
    const weights = open.reduce((sum, index) => sum + weightOf(demands[index]), 0);
    const full = open.filter(
      (index) => (left * (demands[index]?.weight ?? 1)) / weights >= mostOf(demands[index], placeMs),
    );
    if (full.length === 0) {
      for (const index of open) given[index] = (left * (demands[index]?.weight ?? 1)) / weights;
      break;
    }
    for (const index of full) {
      const most = mostOf(demands[index], placeMs);
      given[index] = most;
      left -= most * (demands[index]?.times ?? 1);
    }
    open = open.filter((index) => !full.includes(index));
  }
  return given;
}

function weightOf(demand: Demand | undefined): number {
  return (demand?.weight ?? 1) * (demand?.times ?? 1);
}

function mostOf(demand: Demand | undefined, placeMs: number): number {
  return (demand?.places ?? 1) / placeMs;
}

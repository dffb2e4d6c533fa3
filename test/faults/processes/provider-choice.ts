import type { ProviderPlan, ProviderRule } from '../harness/protocol.ts';
import { seededRandom, seedOf } from '../../support/random.ts';

export interface ChosenFor {
  readonly op: string;
  readonly tag: string;
  readonly phoneNumberId: string;
  readonly to: string;
}

export interface Closure {
  readonly rule: ProviderRule;
  /** The ledger's line that closed it. */
  readonly by: number;
  readonly untilMs: number;
}

const PAIR_CODE = 131056;
const pairOf = ({ phoneNumberId, to }: ChosenFor): string => `${phoneNumberId}|${to}`;
const placeOf = (rule: ProviderRule, request: ChosenFor): string =>
  rule.code === PAIR_CODE ? pairOf(request) : request.phoneNumberId;

/** Chooses what happens to an attempt, from the seed and the attempt itself. */
export class ActionChooser {
  readonly #used = new Map<ProviderRule, number>();
  readonly #seenOps = new Set<string>();
  readonly #closures = new Map<string, Closure>();

  reset(): void {
    this.#used.clear();
  }

  /** A pair or a number that a refusal closed. */
  close(rule: ProviderRule, request: ChosenFor, n: number, nowMs: number): void {
    const { closesMs = 0 } = rule;
    if (closesMs > 0) this.#closures.set(placeOf(rule, request), { rule, by: n, untilMs: nowMs + closesMs });
  }

  /** What keeps this request out; undefined = nothing. */
  closedFor(request: ChosenFor, nowMs: number): Closure | undefined {
    const closures = [request.phoneNumberId, pairOf(request)].map((place) => this.#closures.get(place));
    return closures.find((one) => one !== undefined && one.untilMs > nowMs);
  }

  choose(plan: ProviderPlan, request: ChosenFor): { rule: ProviderRule | undefined; latencyMs: number } {
    const [, , attempt = '0'] = request.tag.split('.');
    const random = seededRandom(seedOf(plan.seed, `${request.op}/${attempt}`));
    const isFirst = !this.#seenOps.has(request.op);
    this.#seenOps.add(request.op);
    const chance = random.next();
    const latencyMs = random.whole(...plan.latencyMs);
    let from = 0;
    const rule = plan.rules.find((one) => {
      if (!meets(one, request, isFirst)) return false;
      if ((this.#used.get(one) ?? 0) >= (one.times ?? Number.POSITIVE_INFINITY)) return false;
      // Shares of the rules that meet it lie side by side, so that each gets its own.
      const until = from + (one.share ?? 1);
      const isHit = chance >= from && chance < until;
      from = until;
      return isHit;
    });
    if (rule !== undefined) this.#used.set(rule, (this.#used.get(rule) ?? 0) + 1);
    return { rule, latencyMs };
  }
}

function meets(rule: ProviderRule, request: ChosenFor, isFirst: boolean): boolean {
  if (rule.phoneNumberId !== undefined && rule.phoneNumberId !== request.phoneNumberId) return false;
  if (rule.op !== undefined && rule.op !== request.op) return false;
  if (rule.recipients !== undefined && !rule.recipients.includes(request.to)) return false;
  return rule.firstOnly !== true || isFirst;
}

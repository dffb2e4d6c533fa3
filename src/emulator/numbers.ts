import { RollingSecond } from './rolling.ts';
import type { Settings } from './settings.ts';

/** What was seen of one phone number id. */
export interface NumberState {
  readonly id: string;
  /** Every well-formed message request, whatever became of it. */
  readonly arrivals: RollingSecond;
  /** What counted towards the throughput limit. */
  readonly passed: RollingSecond;
  requests: number;
  accepted: number;
  rejected: number;
  throughputHits: number;
  pairHits: number;
  inFlight: number;
  inFlightMax: number;
  /** Did this number ever send or receive here. */
  used: boolean;
}

export interface EffectiveLimits {
  readonly throughputPerSecond: number;
  readonly pairCapacity: number;
  readonly pairRefillMs: number;
}

/** Bounds memory when a client makes numbers up. */
const NUMBERS_MAX = 10_000;

export class Numbers {
  readonly #numbers = new Map<string, NumberState>();

  get(id: string): NumberState {
    let number = this.#numbers.get(id);
    if (number) return number;
    number = {
      id,
      arrivals: new RollingSecond(),
      passed: new RollingSecond(),
      requests: 0,
      accepted: 0,
      rejected: 0,
      throughputHits: 0,
      pairHits: 0,
      inFlight: 0,
      inFlightMax: 0,
      used: false,
    };
    this.#numbers.set(id, number);
    if (this.#numbers.size > NUMBERS_MAX) {
      const oldest = this.#numbers.keys().next().value;
      if (oldest !== undefined) this.#numbers.delete(oldest);
    }
    return number;
  }

  find(id: string): NumberState | undefined {
    return this.#numbers.get(id);
  }

  all(): NumberState[] {
    return [...this.#numbers.values()];
  }

  resetStats(): void {
    for (const number of this.#numbers.values()) {
      number.arrivals.reset();
      Object.assign(number, { requests: 0, accepted: 0, rejected: 0, throughputHits: 0, pairHits: 0 });
      number.inFlightMax = number.inFlight;
    }
  }

  resetLimits(): void {
    for (const number of this.#numbers.values()) number.passed.reset();
  }
}

export function effectiveLimits(settings: Settings, id: string): EffectiveLimits {
  const own = settings.numbers[id];
  return {
    throughputPerSecond: own?.throughputPerSecond ?? settings.limits.throughputPerSecond,
    pairCapacity: own?.pairCapacity ?? settings.limits.pairCapacity,
    pairRefillMs: own?.pairRefillMs ?? settings.limits.pairRefillMs,
  };
}

/** A number's name for people: as configured, or made from its id so that it stays the same. */
export function displayPhoneNumber(settings: Settings, id: string): string {
  return settings.numbers[id]?.displayPhoneNumber ?? `+1555${id.slice(-7).padStart(7, '0')}`;
}

export function verifiedName(settings: Settings, id: string): string {
  return settings.numbers[id]?.verifiedName ?? 'Emulated business';
}

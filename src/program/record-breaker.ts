import type { Logger } from 'pino';
import type { Config } from '../config/index.ts';
import { type Breakers, createBreakers } from '../util/breakers.ts';

/**
 * A server that is back must not be left alone for a whole minute more: a probe is one short statement, unlike a
 * message to a person, so PostgreSQL is probed after this time at the latest, whatever CIRCUIT_BREAKER_TIMEOUT says.
 */
const PROBED_AFTER_MS_MAX = 5000;

/** The breaker `postgres` of this process, told in the log when it opens and when it closes. */
export function createRecordBreakers(config: Config, log: Logger): Breakers {
  const breakers = createBreakers({
    threshold: config.circuitBreakerThreshold,
    timeoutMs: Math.min(config.circuitBreakerTimeout, PROBED_AFTER_MS_MAX),
  });
  let isOpen = false;
  breakers.onChange(({ name, state }) => {
    // Every probe that fails opens it once more: told is only what is new.
    if (state === 'open' && !isOpen) {
      isOpen = true;
      log.warn({ breaker: name }, 'PostgreSQL failed too often; calls are refused at once until it answers a probe');
    } else if (state === 'closed') {
      isOpen = false;
      log.info({ breaker: name }, 'PostgreSQL answers again');
    }
  });
  return breakers;
}

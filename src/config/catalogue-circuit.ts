import { integer } from './setting.ts';

/** Circuit breakers: around the provider, the responder and the database. */
export const CIRCUIT_SETTINGS = {
  CIRCUIT_BREAKER_THRESHOLD: integer({
    area: 'circuit',
    default: 5,
    min: 1,
    max: 10_000,
    doc: 'Failures in a row that open a breaker: of one sender or one credential at the provider, of the responder, of the database.',
  }),
  CIRCUIT_BREAKER_TIMEOUT: integer({
    area: 'circuit',
    default: 60_000,
    min: 10,
    max: 86_400_000,
    unit: 'ms',
    doc: 'How long a breaker stays open. Then a single probe goes in: it closes the breaker or opens it again. The database is probed after 5 s at the latest.',
  }),
} as const;

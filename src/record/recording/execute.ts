import type { Statement } from './statements.ts';

/** Runs a prepared statement on the recorder's connection. */
export type Execute = <R extends object>(statement: Statement, values: readonly unknown[]) => Promise<R[]>;

/** A message whose delivery became another one than it was. */
export interface DeliveryChange {
  /** Of the message. */
  readonly id: string;
  readonly sender: string;
  readonly tenant: string;
  readonly conversation: string;
  readonly status: string;
  /** Null = no status was known before. */
  readonly was: string | null;
}

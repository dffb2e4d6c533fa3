import { CIRCUIT_SETTINGS } from './catalogue-circuit.ts';
import { EVENT_SETTINGS } from './catalogue-events.ts';
import { INBOUND_SETTINGS } from './catalogue-inbound.ts';
import { JOB_SETTINGS } from './catalogue-jobs.ts';
import { CACHE_SETTINGS } from './catalogue-cache.ts';
import { LIMIT_SETTINGS } from './catalogue-limits.ts';
import { OBSERVE_SETTINGS } from './catalogue-observe.ts';
import { PROCESS_SETTINGS } from './catalogue-process.ts';
import { PROVIDER_SETTINGS } from './catalogue-providers.ts';
import { SWITCH_SETTINGS } from './catalogue-switch.ts';
import type { Setting } from './setting.ts';

/** Every setting that this version reads, by its name in the environment. */
export const SETTINGS = {
  ...PROCESS_SETTINGS,
  ...PROVIDER_SETTINGS,
  ...LIMIT_SETTINGS,
  ...SWITCH_SETTINGS,
  ...CIRCUIT_SETTINGS,
  ...CACHE_SETTINGS,
  ...INBOUND_SETTINGS,
  ...EVENT_SETTINGS,
  ...JOB_SETTINGS,
  ...OBSERVE_SETTINGS,
} as const satisfies Record<
  string,
  // `any` because the value's type differs from setting to setting; `ConfigValues` brings it back.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  Setting<any>
>;

export type SettingName = keyof typeof SETTINGS;

type Pascal<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Capitalize<Lowercase<Head>>}${Pascal<Tail>}`
  : Capitalize<Lowercase<S>>;

/** `SENDER_RATE_PER_SECOND` → `senderRatePerSecond`. */
export type CamelCase<S extends string> = Uncapitalize<Pascal<S>>;

/** Runtime form of `CamelCase`. */
export function camelCase(name: string): string {
  return name.toLowerCase().replace(/_([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase());
}

/** The value of every setting, under the camel case of its name. */
export type ConfigValues = {
  readonly [Name in SettingName as CamelCase<Name>]: (typeof SETTINGS)[Name] extends Setting<infer T> ? T : never;
};

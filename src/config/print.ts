import { camelCase, SETTINGS } from './catalogue.ts';
import type { Config } from './load.ts';
import type { NodeAddress, Setting } from './setting.ts';

/** One line of `waxwing config print`. */
export interface PrintedSetting {
  readonly name: string;
  /** As text; `***` for a secret that is set, null for what is unset. */
  readonly value: string | null;
  readonly isDefault: boolean;
}

/** The settings in force, safe to show and to log: secrets as `***`. */
export function printConfig(config: Config): PrintedSetting[] {
  return Object.entries(SETTINGS as Record<string, Setting<unknown>>).map(([name, setting]) => {
    const value = (config as unknown as Record<string, unknown>)[camelCase(name)];
    return {
      name,
      value: isUnset(value) ? null : setting.secret ? '***' : asText(value),
      // The data folder is resolved to a full path, so texts are compared by their end.
      isDefault:
        asText(value) === asText(setting.default) || (name === 'WAXWING_DATA_DIR' && endsWith(value, setting.default)),
    };
  });
}

function isUnset(value: unknown): boolean {
  return value === undefined || (Array.isArray(value) && value.length === 0);
}

function asText(value: unknown): string {
  if (Array.isArray(value)) return value.map(asText).join(',');
  if (typeof value !== 'object' || value === null) return String(value);
  const { host, port } = value as NodeAddress;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function endsWith(value: unknown, end: unknown): boolean {
  return typeof value === 'string' && typeof end === 'string' && value.endsWith(`/${end}`);
}

/** Chapters of the settings page, in the order in which it shows them. */
export const AREAS = {
  process: 'Process',
  data: 'Data',
  keys: 'Keys',
  limits: 'Limits',
  retries: 'Retries',
  stream: 'Stream',
  switch: 'Queue switch',
  circuit: 'Circuit breakers',
  cache: 'Cache',
  cloud: 'Cloud API',
  providers: 'Evolution, Twilio',
  inbound: 'Inbound',
  jobs: 'Jobs',
  observe: 'Metrics and alerts',
  dangerous: 'Dangerous',
} as const;
export type Area = keyof typeof AREAS;

export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false };

/** One setting: how it is read, what it may be, and what a person must know about it. */
export interface Setting<T> {
  readonly area: Area;
  /** What it does, in sentences for the settings page. */
  readonly doc: string;
  /** Used when the environment says nothing; undefined = stays unset. */
  readonly default: T;
  /** What is accepted, as words that follow "expected": `a whole number, 1 … 100`. */
  readonly expected: string;
  /** Unit of the value: `ms`, `per second`; absent for words and switches. */
  readonly unit?: string;
  /** Never shown: prints as `***`. */
  readonly secret: boolean;
  readonly parse: (text: string) => Parsed<T>;
}

interface About {
  readonly area: Area;
  readonly doc: string;
  readonly unit?: string;
}
interface Bounds {
  readonly min: number;
  readonly max: number;
}

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const refused = { ok: false } as const;

function bounded({ min, max }: Bounds): string {
  return `${min.toLocaleString('en-US')} … ${max.toLocaleString('en-US', { maximumFractionDigits: 0 })}`;
}

export function integer(about: About & Bounds & { readonly default: number }): Setting<number> {
  return {
    ...pick(about),
    default: about.default,
    expected: `a whole number, ${bounded(about)}`,
    secret: false,
    parse: (text) => {
      const value = NUMBER.test(text) ? Number(text) : NaN;
      return Number.isInteger(value) && value >= about.min && value <= about.max ? { ok: true, value } : refused;
    },
  };
}

/** Like `integer`, but stays unset without a value. */
export function optionalInteger(about: About & Bounds): Setting<number | undefined> {
  const base = integer({ ...about, default: about.min });
  return { ...base, default: undefined };
}

/** A decimal number. */
export function decimal(about: About & Bounds & { readonly default: number }): Setting<number> {
  return {
    ...pick(about),
    default: about.default,
    expected: `a number, ${bounded(about)}`,
    secret: false,
    parse: (text) => {
      const value = NUMBER.test(text) ? Number(text) : NaN;
      return value >= about.min && value <= about.max ? { ok: true, value } : refused;
    },
  };
}

const YES = new Set(['true', '1', 'yes', 'on']);
const NO = new Set(['false', '0', 'no', 'off']);

export function toggle(about: About & { readonly default: boolean }): Setting<boolean> {
  return {
    ...pick(about),
    default: about.default,
    expected: 'true or false',
    secret: false,
    parse: (text) => {
      const word = text.toLowerCase();
      if (YES.has(word)) return { ok: true, value: true };
      return NO.has(word) ? { ok: true, value: false } : refused;
    },
  };
}

export function choice<const C extends string>(
  about: About & { readonly default: NoInfer<C>; readonly choices: readonly C[] },
): Setting<C> {
  return {
    ...pick(about),
    default: about.default,
    expected: `one of ${about.choices.join(', ')}`,
    secret: false,
    parse: (text) => {
      const value = about.choices.find((one) => one === text.toLowerCase());
      return value === undefined ? refused : { ok: true, value };
    },
  };
}

interface TextRules {
  /** What the text must look like, and the words for it. */
  readonly pattern?: { readonly test: RegExp; readonly words: string };
  readonly secret?: boolean;
}

export function text(about: About & TextRules & { readonly default: string }): Setting<string> {
  return { ...optionalText(about), default: about.default, parse: (value) => parseText(about, value) };
}

export function optionalText(about: About & TextRules): Setting<string | undefined> {
  return {
    ...pick(about),
    default: undefined,
    expected: about.pattern?.words ?? 'text',
    secret: about.secret === true,
    parse: (value) => parseText(about, value),
  };
}

function parseText(rules: TextRules, value: string): Parsed<string> {
  return rules.pattern === undefined || rules.pattern.test.test(value) ? { ok: true, value } : refused;
}

interface UrlRules {
  readonly protocols: readonly string[];
  /** Addresses that carry a password are secrets. */
  readonly secret?: boolean;
}

/** An address; a slash at its end is dropped, so that paths can be appended. */
export function optionalUrl(about: About & UrlRules): Setting<string | undefined> {
  return {
    ...pick(about),
    default: undefined,
    expected: `an address that begins with ${about.protocols.map((one) => `${one}//`).join(' or ')}`,
    secret: about.secret === true,
    parse: (value) => parseUrl(about, value),
  };
}

export function url(about: About & UrlRules & { readonly default: string }): Setting<string> {
  return { ...optionalUrl(about), default: about.default, parse: (value) => parseUrl(about, value) };
}

function parseUrl(rules: UrlRules, value: string): Parsed<string> {
  if (!URL.canParse(value)) return refused;
  const parsed = new URL(value);
  if (!rules.protocols.includes(parsed.protocol) || parsed.hostname === '') return refused;
  return { ok: true, value: value.replace(/\/+$/, '') };
}

/** Whole numbers with commas between them. */
export function integers(
  about: About & Bounds & { readonly default: readonly number[]; readonly countMax: number },
): Setting<readonly number[]> {
  return {
    ...pick(about),
    default: about.default,
    expected: `1 … ${about.countMax} whole numbers with commas between them, each ${bounded(about)}`,
    secret: false,
    parse: (value) => {
      const parts = value.split(',').map((part) => part.trim());
      const numbers = parts.map((part) => (NUMBER.test(part) ? Number(part) : NaN));
      const fits = numbers.every((one) => Number.isInteger(one) && one >= about.min && one <= about.max);
      return fits && numbers.length <= about.countMax ? { ok: true, value: Object.freeze(numbers) } : refused;
    },
  };
}

/** Texts with commas between them; none when unset. */
export function texts(about: About & TextRules & { readonly countMax: number }): Setting<readonly string[]> {
  return {
    ...pick(about),
    default: [],
    expected: `1 … ${about.countMax} texts with commas between them, each ${about.pattern?.words ?? 'text'}`,
    secret: about.secret === true,
    parse: (value) => {
      const parts = value.split(',').map((part) => part.trim());
      const fits = parts.length <= about.countMax && parts.every((part) => parseText(about, part).ok);
      return fits ? { ok: true, value: Object.freeze(parts) } : refused;
    },
  };
}

function pick(about: About): About {
  return { area: about.area, doc: about.doc, ...(about.unit === undefined ? {} : { unit: about.unit }) };
}

export interface NodeAddress {
  readonly host: string;
  readonly port: number;
}

const NODE = /^(?:\[([0-9a-f:.]+)\]|([^\s:[\]/@]+)):(\d{1,5})$/i;

/** `host:port` with commas between them; none when unset. */
export function nodes(about: About & { readonly countMax: number }): Setting<readonly NodeAddress[]> {
  return {
    ...pick(about),
    default: [],
    expected: `1 … ${about.countMax} times host:port with commas between them`,
    secret: false,
    parse: (value) => {
      const parts = value.split(',').map((part) => NODE.exec(part.trim()));
      const found = parts.map((part) => ({ host: part?.[1] ?? part?.[2] ?? '', port: Number(part?.[3] ?? 0) }));
      const fits = found.every(({ host, port }) => host !== '' && port >= 1 && port <= 65_535);
      return fits && found.length <= about.countMax ? { ok: true, value: Object.freeze(found) } : refused;
    },
  };
}

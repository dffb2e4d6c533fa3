import { createHash } from 'node:crypto';
import { type Cache, type Caches, defineCache, type TemplateMetrics } from '../cache/index.ts';
import { hasCode } from '../errors/app-error.ts';
import type { ContentSid, ContentSids, Exclusive } from '../record/index.ts';

/** Makes the content at the provider and gives its id (`HX…`), with a name for people when there is one. */
export type Creator = () => Promise<string | { readonly sid: string; readonly friendlyName?: string }>;

export interface ContentSidOptions {
  /** What the content is made of; another value is another content. JSON. */
  readonly data?: unknown;
  /** The template's definition, which stands for `data` when that is left out. JSON. */
  readonly definition?: unknown;
}

export interface ContentSidCacheOptions {
  readonly caches: Caches;
  readonly metrics: TemplateMetrics;
  readonly store: ContentSids;
  readonly exclusive: Exclusive;
  /** TEMPLATE_SID_<KEY>: key in lower case → id. */
  readonly overrides: Readonly<Record<string, string>>;
  /** TEMPLATE_CACHE_TTL_SECONDS. */
  readonly ttlSeconds: number;
}

const USES_MAX = 10_000;
/** Longest wait for another process that is making the same content. */
const MAKING_MS_MAX = 120_000;

/** Content ids of templates: from the environment, else from memory, else the record, else made at the provider. */
export class ContentSidCache {
  readonly #options: ContentSidCacheOptions;
  readonly #cache: Cache<[key: string, signature: string], ContentSid>;
  readonly #uses = new Map<string, { readonly key: string; readonly signature: string; count: number }>();

  constructor(options: ContentSidCacheOptions) {
    this.#options = options;
    this.#cache = options.caches.of(
      defineCache<[key: string, signature: string], ContentSid>({
        name: 'template-content',
        ttlSeconds: options.ttlSeconds,
        // A content id does not change at the provider, so an old one is as good while the record is away.
        staleSeconds: 30 * 86_400,
        key: (key, signature) => `template:sid:${encodeURIComponent(key)}:${signature}`,
      }),
    );
  }

  /**
   * The content id of a template. Callers that ask at once, in any process, make it once.
   * @throws what `creator` throws, to every waiter, and nothing is kept; AppError `RECORD_UNAVAILABLE` when the record
   *   is away and the id is not known, because making it again would leave two contents at the provider
   */
  async get(key: string, creator: Creator, options: ContentSidOptions = {}): Promise<string> {
    const signature = signatureOf(options);
    const { metrics, caches, store } = this.#options;
    const override = this.#options.overrides[overrideName(key)];
    if (override !== undefined) {
      metrics.recordCacheHit(key, signature, override, { source: 'environment' });
      return override;
    }
    const known = caches.tiers.peek(this.#cache.key(key, signature)) as ContentSid | undefined;
    if (known !== undefined) return this.#hit(known, 'memory');
    let source: 'memory' | 'database' | 'created' = 'memory';
    const content = await this.#cache.getOrLoad([key, signature], async () => {
      source = 'database';
      const found = await store.find(key, signature);
      if (found !== null) return found;
      metrics.recordCacheMiss(key, signature);
      // The cache's own lease is not enough: while its Redis is away nobody has one.
      const lock = JSON.stringify(['content', key, signature]);
      return await this.#options.exclusive.alone(lock, MAKING_MS_MAX, async () => {
        const meanwhile = await store.find(key, signature);
        if (meanwhile !== null) return meanwhile;
        source = 'created';
        return await this.#create(key, signature, creator);
      });
    });
    if (content === null) throw new Error(`The template ${key} has no content id.`);
    return (source as string) === 'created' ? content.sid : this.#hit(content, source);
  }

  /** Brings the most used ids into memory, so that a start is no spike. @returns how many */
  async warmUp(limit: number): Promise<number> {
    const { store, overrides } = this.#options;
    // What the environment names is not asked for here.
    const most = (await store.mostUsed(limit)).filter(({ key }) => overrides[overrideName(key)] === undefined);
    for (const content of most) {
      await this.#cache.getOrLoad([content.key, content.signature], () => Promise.resolve(content));
    }
    return most.length;
  }

  /** Tells the record how often ids were used since the last time; that is what the warm-up goes by. */
  async tellUses(): Promise<void> {
    const uses = [...this.#uses.values()];
    await this.#options.store.used(uses);
    for (const { key, signature, count } of uses) {
      const id = `${key} ${signature}`;
      const left = (this.#uses.get(id)?.count ?? 0) - count;
      if (left > 0) this.#uses.set(id, { key, signature, count: left });
      else this.#uses.delete(id);
    }
  }

  async #create(key: string, signature: string, creator: Creator): Promise<ContentSid> {
    const made = await creator();
    const { sid, friendlyName = null } = typeof made === 'string' ? { sid: made } : made;
    this.#options.metrics.recordCacheCreation(key, signature, sid);
    const content = { key, signature, sid, friendlyName };
    try {
      return await this.#options.store.add(content);
    } catch (error) {
      // It exists at the provider now; that the record does not know it yet must not fail the message.
      if (hasCode(error, 'RECORD_UNAVAILABLE')) return content;
      throw error;
    }
  }

  #hit({ key, signature, sid, friendlyName }: ContentSid, source: 'memory' | 'database' | 'created'): string {
    const detail = {
      source: source === 'database' ? source : 'memory',
      ...(friendlyName && { friendlyName }),
    } as const;
    this.#options.metrics.recordCacheHit(key, signature, sid, detail);
    const id = `${key} ${signature}`;
    const use = this.#uses.get(id);
    if (use !== undefined) use.count += 1;
    else if (this.#uses.size < USES_MAX) this.#uses.set(id, { key, signature, count: 1 });
    return sid;
  }
}

/** The part of TEMPLATE_SID_<KEY> that names a template, in lower case. */
export function overrideName(key: string): string {
  return key.toLowerCase().replace(/[^a-z0-9]+/g, '_');
}

function signatureOf({ data, definition }: ContentSidOptions): string {
  const of = data ?? definition;
  return of === undefined ? 'none' : createHash('sha256').update(canonical(of)).digest('base64url').slice(0, 22);
}

/** The same text for the same data, in whatever order its fields were written. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_name, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

import type { CacheService } from './cache-service.ts';
import { keyOf } from './keys.ts';

export interface CacheableOptions<Args extends readonly unknown[]> {
  /**
   * The key, or a function of the arguments that gives it. In a text `{0}` stands for the first argument and so on; a
   * text without such places is one key for all calls.
   */
  readonly key: string | ((...args: Args) => string);
  /** Seconds; default CACHE_TTL_SECONDS. */
  readonly ttl?: number;
  /** How long after that an old value may serve while its source is down (an error that says `retryable`), s. */
  readonly stale?: number;
  /** How long null is kept, s; default 0 = not at all. */
  readonly nullTtl?: number;
  /** Default: the instance that `createWaxwing()` made. Without any the method runs as if it were not decorated. */
  readonly cache?: CacheService;
}

export interface CacheEvictOptions<Args extends readonly unknown[]> {
  /** Forgotten after the method succeeded; written as in `CacheableOptions.key`. */
  readonly keys: string | readonly string[] | ((...args: Args) => string | readonly string[]);
  readonly cache?: CacheService;
}

// `any` lets a decorator meet a method of any arguments; the method keeps its own type.
/* eslint-disable @typescript-eslint/no-explicit-any */
type Method<Args extends any[]> = (this: any, ...args: [...Args, ...any[]]) => Promise<any>;
type Any = any[];

/** A decorator of a method, in the standard form and in that of `experimentalDecorators`. */
export interface MethodDecorator<Args extends any[]> {
  <M extends Method<Args>>(method: M, context: ClassMethodDecoratorContext): M;
  <M extends Method<Args>>(target: object, name: string | symbol, descriptor: TypedPropertyDescriptor<M>): void;
}
type AnyFunction = (this: any, ...args: any[]) => Promise<any>;
/* eslint-enable @typescript-eslint/no-explicit-any */

let current: CacheService | null = null;

/** Which cache decorators without one of their own use. Called by the program at start and end. */
export function useCache(cache: CacheService | null): void {
  current = cache;
}

/**
 * Keeps what a method returns. The method must return a promise; what comes back is what JSON keeps of it, frozen.
 * What it throws is not kept and reaches everybody who waits.
 */
export function Cacheable<Args extends Any = Any>(options: CacheableOptions<Args>): MethodDecorator<Args> {
  return decorator((method) => cacheable(method, options as unknown as CacheableOptions<unknown[]>));
}

/** Forgets keys after a method succeeded; when it throws nothing is forgotten. */
export function CacheEvict<Args extends Any = Any>(options: CacheEvictOptions<Args>): MethodDecorator<Args> {
  return decorator((method) => cacheEvict(method, options as unknown as CacheEvictOptions<unknown[]>));
}

/** `Cacheable` for a function: the same arguments, `this`, name and types. */
export function cacheable<F extends AnyFunction>(fn: F, options: CacheableOptions<Parameters<F>>): F {
  const { ttl, stale, nullTtl } = options;
  const kept = {
    ...(ttl === undefined ? {} : { ttlSeconds: ttl }),
    ...(stale === undefined ? {} : { staleSeconds: stale }),
    ...(nullTtl === undefined ? {} : { nullTtlSeconds: nullTtl }),
  };
  return like(fn, async function (this: unknown, ...args: Parameters<F>) {
    const cache = options.cache ?? current;
    if (cache === null) return (await fn.apply(this, args)) as unknown;
    const [key = ''] = keysOf(options.key as CacheEvictOptions<Parameters<F>>['keys'], this, args);
    return await cache.getOrLoad(key, () => fn.apply(this, args) as Promise<unknown>, kept);
  });
}

/** `CacheEvict` for a function. */
export function cacheEvict<F extends AnyFunction>(fn: F, options: CacheEvictOptions<Parameters<F>>): F {
  return like(fn, async function (this: unknown, ...args: Parameters<F>) {
    const result = (await fn.apply(this, args)) as unknown;
    await (options.cache ?? current)?.del(...keysOf(options.keys, this, args));
    return result;
  });
}

function keysOf<Args extends readonly unknown[]>(
  keys: CacheEvictOptions<Args>['keys'],
  self: unknown,
  args: Args,
): readonly string[] {
  const given = typeof keys === 'function' ? keys.apply(self, args as Args & unknown[]) : keys;
  const list = typeof given === 'string' ? [given] : given;
  if (typeof keys === 'function') return list;
  return list.map((key) => key.replace(/\{(\d+)\}/g, (_place, index: string) => keyOf(textOf(args[Number(index)]))));
}

function textOf(value: unknown): string {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value);
}

/** Both forms of decorators: the standard one gets a context as its second argument, the older one a name. */
function decorator<Args extends Any>(wrap: (method: AnyFunction) => AnyFunction): MethodDecorator<Args> {
  return ((target: unknown, _about: unknown, descriptor?: PropertyDescriptor): unknown => {
    const method: unknown = descriptor === undefined ? target : descriptor.value;
    if (typeof method !== 'function') {
      throw new TypeError('Cacheable and CacheEvict decorate methods; use cacheable() for functions.');
    }
    const wrapped = wrap(method as AnyFunction);
    if (descriptor === undefined) return wrapped;
    descriptor.value = wrapped;
    return descriptor;
  }) as MethodDecorator<Args>;
}

function like<F extends AnyFunction>(original: F, wrapper: (...args: Parameters<F>) => Promise<unknown>): F {
  Object.defineProperty(wrapper, 'name', { value: original.name, configurable: true });
  Object.defineProperty(wrapper, 'length', { value: original.length, configurable: true });
  return wrapper as unknown as F;
}

export { loadConfig, type Config, type LoadResult } from './load.ts';
export { formatProblems, type ConfigProblem, type ConfigWarning } from './problem.ts';
export { printConfig, type PrintedSetting } from './print.ts';
export { replaceSecretKey, resolveKeys, type Keys, type MadeKey } from './keys.ts';
export type { ManyRedis } from './redis-url.ts';

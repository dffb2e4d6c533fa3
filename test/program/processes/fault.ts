import { createLog, logLastWords } from '../../../src/program/log.ts';

/* A program in which nobody catches an error that carries a command, as the Redis client's do. */

logLastWords(createLog('info'));
void Promise.reject(Object.assign(new Error('a fault'), { code: 'EFAULT', command: { args: ['planted text'] } }));

import type { CommandDef } from 'citty';

/** Loaded when asked for: most commands need a small part of the program only. */
const LOADERS = {
  start: async () => (await import('./start.ts')).start,
  demo: async () => (await import('./demo.ts')).demo,
  emulate: async () => (await import('./emulate.ts')).emulate,
  send: async () => (await import('./send.ts')).send,
  streams: async () => (await import('./streams.ts')).streams,
  explain: async () => (await import('./explain.ts')).explain,
  key: async () => (await import('./key.ts')).key,
  secrets: async () => (await import('./secrets.ts')).secrets,
  user: async () => (await import('./user.ts')).user,
  token: async () => (await import('./token.ts')).token,
  migrate: async () => (await import('./migrate.ts')).migrate,
  config: async () => (await import('./config.ts')).config,
  failures: async () => (await import('./failures.ts')).failures,
  'dead-letters': async () => (await import('./dead-letters.ts')).deadLetters,
  doctor: async () => (await import('./doctor.ts')).doctor,
  webhooks: async () => (await import('./webhooks.ts')).webhooks,
  events: async () => (await import('./events.ts')).events,
  services: async () => (await import('./services.ts')).services,
  bench: async () => (await import('./bench.ts')).bench,
};

/** Lazy sub-commands in citty's shape. */
export const COMMANDS = LOADERS as unknown as Record<string, () => Promise<CommandDef>>;

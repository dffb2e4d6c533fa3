import { emptyTotals, type World } from './world.ts';

/** What `POST /_emulator/reset` can forget. */
export const RESET_PARTS = [
  'ledger',
  'conversations',
  'rules',
  'limits',
  'stats',
  'webhooks',
  'media',
  'settings',
] as const;
export type ResetPart = (typeof RESET_PARTS)[number];

/** Forgets parts of the emulator's state; by default everything but the settings. Returns what was reset. */
export function resetWorld(world: World, what?: readonly ResetPart[]): ResetPart[] {
  const parts = [...new Set(what ?? RESET_PARTS.filter((part) => part !== 'settings'))];
  for (const part of parts) RESETS[part](world);
  world.live.reset();
  return parts;
}

const RESETS: Readonly<Record<ResetPart, (world: World) => void>> = {
  ledger: (world) => world.ledger.clear(),
  conversations: (world) => world.conversations.clear(),
  rules: (world) => world.rules.clear(),
  limits: (world) => {
    world.numbers.resetLimits();
    world.pairs.resetBuckets();
  },
  stats: (world) => {
    const { inFlight } = world.totals;
    Object.assign(world.totals, emptyTotals(), { inFlight, inFlightMax: inFlight });
    world.numbers.resetStats();
    world.pairs.resetGaps();
  },
  webhooks: (world) => {
    world.statuses.reset();
    world.outbox.reset();
  },
  media: (world) => world.media.clear(),
  settings: (world) => world.restoreSettings(),
};

export { createMessages, type AcceptOptions, type Messages } from './service.ts';
export { ownMessages, type OwnMessages } from './own-messages.ts';
export type { Accepted } from './conclude.ts';
export type { BatchResult } from './batch.ts';
export type { ListQuery, Reading } from './reading.ts';
export type { TimelineView } from './timeline.ts';
export type { MessageQuery, MessageStore, SenderStore, TenantStore } from './ports.ts';
export { DEFAULT_TENANT, scopeOf, type Principal } from './principal.ts';
export { createSenders, type Senders } from './senders.ts';
export { senderLimits } from './sender-registrations.ts';
export { createTenants, limitsOf, type Tenants } from './tenants.ts';
export { createMemory, type Memory } from './memory.ts';
export { senderDefaults, settingsSenders, type SenderDefaults } from './settings-senders.ts';
export { EVICTED, followEvictions, followSenders, type Evictions } from './evictions.ts';
export { oldestOwned, usableSenders } from './usable-senders.ts';
export { chooseShard, DEFAULT_SENDER } from './shard.ts';
export { generateIdempotencyKey } from './fingerprint.ts';
export type { Explanation } from './explain.ts';
export type { Forecast } from './forecast.ts';
export { isSettled, recordedView, type MessageView } from './view.ts';
export { createQueueSwitch, percentileOf, type QueueSwitch } from './queue-switch.ts';
export { DirectPause } from './direct-pause.ts';
export { createShortSend, type ShortSend, type ShortSent } from './short-send.ts';
export {
  createThrottled,
  type DeliveryFailureCounts,
  type SendMessageOptions,
  type SendMessageResult,
  type ThrottledSender,
  type ThrottledStats,
} from './throttled.ts';

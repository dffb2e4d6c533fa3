export { bodyOf, type EventAttempt } from './delivery.ts';
export { createEventDispatcher, type DispatcherOptions, type EventDispatcher } from './dispatcher.ts';
export { EVENT_SCHEDULE_MS, judge } from './outcome.ts';
export { eventHooks } from './provider-news.ts';
export { createEventSecrets, type EventSecrets } from './secrets.ts';

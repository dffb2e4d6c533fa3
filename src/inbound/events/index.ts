export {
  bodyOf,
  createEventDispatcher,
  type DispatcherOptions,
  type EventAttempt,
  type EventDispatcher,
} from './dispatcher.ts';
export { EVENT_SCHEDULE_MS, judge } from './outcome.ts';
export { eventHooks } from './provider-news.ts';
export { createEventSecrets, type EventSecrets } from './secrets.ts';

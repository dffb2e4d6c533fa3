export { findRunning, type RunningServices } from './running.ts';
export { EmbeddedError, type EmbeddedErrorCode } from './embedded-error.ts';
export {
  startEmbedded,
  type EmbeddedServices,
  type EmbeddedServerName,
  type StartEmbeddedOptions,
} from './start-embedded.ts';
export type { ServerEvent } from './supervised-child.ts';

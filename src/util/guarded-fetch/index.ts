export { addressFault } from './address-fault.ts';
export { isPublicAddress } from './addresses.ts';
export { GuardedFetchError, type GuardedFetchReason } from './errors.ts';
export {
  createGuardedFetch,
  type GuardedAnswer,
  type GuardedFetch,
  type GuardedFetchOptions,
  type GuardedRequest,
} from './guarded-fetch.ts';

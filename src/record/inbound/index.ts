export type { KnownPeopleOptions } from './people.ts';
export { inboundRecordOf, type InboundRecord, type Writer } from './record.ts';
export type * from './types.ts';

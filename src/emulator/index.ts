export { startEmulator, type Emulator, type EmulatorOptions } from './emulator.ts';
export type { InboundInput, InboundResult } from './inbound.ts';
export { textDigest, type LedgerEntry, type LedgerQuery } from './ledger.ts';
export type { Rule, RuleAction, RuleInput } from './rules.ts';
export { ControlError, type Settings, type SettingsPatch } from './settings.ts';
export type { EmulatorStats, NumberStats } from './stats.ts';
export { signature as webhookSignature } from './webhook-body.ts';

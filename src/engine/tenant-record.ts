/** One tenant on one sender, as the engine keeps it. */
export interface TenantRecord {
  readonly inFlight: number;
  /** Conversations whose head may go. */
  readonly ready: number;
  readonly isPaused: boolean;
  readonly concurrency: number;
  readonly weight: number;
  /** Messages in conversations, those in flight included. */
  readonly backlog: number;
  /** Messages outside them: scheduled, deferred, held. */
  readonly parked: number;
}

/** Reads a value of `q:<sender>`: 32 bytes, little-endian, as `TENANT_RECORD` in `lua/includes/state.lua` packs them. */
export function decodeTenant(packed: Buffer): TenantRecord {
  return {
    inFlight: packed.readInt32LE(0),
    ready: packed.readInt32LE(7),
    isPaused: packed.readUInt8(15) === 1,
    concurrency: packed.readInt32LE(16),
    weight: packed.readInt32LE(20),
    backlog: packed.readInt32LE(24),
    parked: packed.readInt32LE(28),
  };
}

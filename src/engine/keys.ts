/**
 * Every key of the send engine. All of one shard share the hash tag `{wx:<n>}`, so that one script may touch them all.
 * The scripts append these letters to the prefix themselves; this list is their dictionary.
 */
export const KEY_LETTERS = {
  /** hash: scalars of the shard (pacing clock and its last gap, sequence, announced timer, pause) */
  g: 'scalars',
  /** hash: counters; accepted = the sum of the states. `returned:<end>`: how often messages that had ended so came back */
  n: 'counters',
  /** `s:<sender>` hash: limits and rate state of a sender */
  s: 'sender',
  /** `q:<sender>` hash: tenant → packed record of its places and limits */
  q: 'tenants of a sender',
  /** `rn:<sender>`, `ro:<sender>` lists: rings of newly active and of backlogged tenants */
  rn: 'new ring',
  ro: 'old ring',
  /** `r:<sender>|<tenant>|<priority>` list: lanes whose head may go */
  r: 'ready lanes',
  /** sorted set: senders that can give now, least recently served first */
  rs: 'able senders',
  /** `c:<lane>` list: the messages of a conversation, head first */
  c: 'conversation',
  /** hash: lane → attempt in flight or waiting */
  f: 'flights',
  /** hash: hand-over entry → lease; sorted set `lz`: leases not begun, by grant time */
  le: 'leases',
  lz: 'leases not begun',
  /** stream with group `wa_workers`: one entry per hand-over; the pending list is the lease */
  out: 'hand-over stream',
  /** `p:<pair>` string, `pw:<pair>` list: next time of a pair and the lanes that wait for it */
  p: 'pair',
  pw: 'waiting for a pair',
  /** `th:<sender>` hash: held templates; `tw:<sender>|<template>` sorted set: lanes that wait for one */
  th: 'held templates',
  tw: 'waiting for a template',
  /** sorted sets: timers on the pacing clock and on the wall clock */
  tm: 'timers',
  at: 'wall timers',
  /** hash: messages outside their lane: scheduled, deferred, held */
  sch: 'parked messages',
  /** hash: messages that ended in the middle of their lane */
  x: 'tombstones',
  /** hash: ambiguous message → lane */
  ui: 'unknown messages',
  /** hash: message in flight → text of its sent event, when a status came before the attempt's end */
  pv: 'proofs',
  /** hash: senders whose circuit is not closed → when a probe may go, and the lane of the probe in flight */
  cb: 'circuits',
  /** sorted set: worker → free slots; hashes: worker → slots in use, → heartbeat, → time of it on the pacing clock, ms */
  iw: 'idle workers',
  wf: 'slots in use',
  hb: 'heartbeats',
  bt: 'beat times',
  /** `m:<worker>` list: hand-overs to an idle worker */
  m: 'mailbox',
  /** stream: lifecycle events until recorded */
  ev: 'events',
  /** `u:<10 characters of ids>` hash: event entry → ends of the ids in it, until recorded */
  u: 'unrecorded',
  /** `v:<day>` hash: message that came back → attempts it had then */
  v: 'revived',
  /** `i:<day>` hash: idempotency digest → body digest and first id */
  i: 'idempotency',
} as const;

/** Beside these, of shard 0 only, `observe` keeps what processes share about alerts: lease, figures, alerts. */
export const ALERT_KEY_LETTERS = { lease: 'ol', figures: 'of', alerts: 'oa' } as const;
/** And what workers and recorders of all processes did, for the dashboard's rates. */
export const LIVE_KEY_LETTERS = { totals: 'ot' } as const;

/** String, written before a replica's confirmation is waited for; the scripts never touch it. */
export const REPLICA_MARK_LETTER = 'w';

/** Layout version of keys and packed records; a shard of another version is refused. */
export const LAYOUT_VERSION = 4;

export function shardPrefix(shard: number): string {
  return `{wx:${shard}}`;
}

export const WORKER_GROUP = 'wa_workers';

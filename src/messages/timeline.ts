export interface TimelineView {
  readonly items: readonly {
    readonly at: string;
    readonly event: string;
    readonly detail: Readonly<Record<string, unknown>>;
  }[];
}

interface Recorded {
  readonly atMs: number;
  readonly event: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** What the record knows of a message, with every point in time as ISO 8601 in UTC. */
export function timelineOf(items: readonly Recorded[]): TimelineView {
  return {
    items: items.map(({ atMs, event, detail }) => ({
      at: new Date(atMs).toISOString(),
      event,
      detail: Object.fromEntries(Object.entries(detail).map(isoField)),
    })),
  };
}

/** `sendAtMs: 1800000000000` becomes `sendAt`; PostgreSQL's own form of a time in JSON, with an offset, gets its Z. */
function isoField([name, value]: [string, unknown]): [string, unknown] {
  if (name.endsWith('AtMs')) {
    return [name.slice(0, -'Ms'.length), typeof value === 'number' ? new Date(value).toISOString() : null];
  }
  const atMs = name.endsWith('At') && typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return [name, Number.isNaN(atMs) ? value : new Date(atMs).toISOString()];
}

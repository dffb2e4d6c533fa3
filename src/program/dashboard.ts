import type { Keys } from '../config/index.ts';
import type { DashboardOptions } from '../http/index.ts';
import type { LiveView } from '../observe/index.ts';
import type { WaxwingRecord } from '../record/index.ts';

/** What the dashboard's routes ask, beside what the API has anyway. */
export function dashboardOf(
  { keys, record }: { readonly keys: Keys; readonly record: WaxwingRecord },
  live: LiveView,
): DashboardOptions {
  return { live, record, secret: keys.jwtSecret };
}

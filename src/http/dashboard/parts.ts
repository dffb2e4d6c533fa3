import type { Messages } from '../../messages/index.ts';
import type { LiveView } from '../../observe/index.ts';
import type { WaxwingRecord } from '../../record/index.ts';
import type { Statistics } from '../../stats/index.ts';
import type { TemplateRegistry } from '../../templates/index.ts';
import type { AdminOptions } from '../admin-options.ts';
import type { PublicAddress } from '../sign-in/same-origin.ts';
import type { PageSessions } from '../sign-in/sessions.ts';

/** What the dashboard needs beside the rest of the API. */
export interface DashboardOptions {
  readonly live: LiveView;
  readonly record: Pick<
    WaxwingRecord,
    'messages' | 'tenants' | 'senders' | 'totals' | 'chat' | 'conversations' | 'failures' | 'bookings'
  >;
  /** Signs the cookie of who sees numbers and texts. */
  readonly secret: string;
}

/** Of every part of the dashboard. */
export interface DashboardParts extends DashboardOptions {
  readonly messages: Messages;
  readonly stats: Statistics;
  readonly templates: TemplateRegistry;
  readonly admin: AdminOptions;
  readonly sessions: PageSessions;
  readonly address: PublicAddress;
}

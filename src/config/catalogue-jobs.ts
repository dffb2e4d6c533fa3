import { integer, optionalInteger, optionalText, optionalUrl, text, toggle } from './setting.ts';

const concurrency = (defaultValue: number, what: string) =>
  integer({
    area: 'jobs',
    default: defaultValue,
    min: 1,
    max: 1000,
    doc: `${what} that one worker process works on at once.`,
  });

/** Beginnings of paths that other pages and routes have. */
const ADMIN_ROUTES = 'alerts|audit|dead-letters|events|failures|keys|mail|queue|senders|streams|tenants|webhooks';
const TAKEN = `health|ready|docs|openapi\\.json|metrics|dashboard|login|logout|v1|api|webhooks|admin/(?:${ADMIN_ROUTES})`;
const BOARD_PATH = new RegExp(`^(?!/(?:${TAKEN})(?:/|$))(/[A-Za-z0-9_.~-]+)+$`);

/** Job queues, board, bookings, mail. */
export const JOB_SETTINGS = {
  WEBHOOK_QUEUE_CONCURRENCY: concurrency(5, 'Jobs of `whatsapp:webhook`'),
  MESSAGE_QUEUE_CONCURRENCY: concurrency(10, 'Jobs of `whatsapp:message-status`'),
  BOOKING_QUEUE_CONCURRENCY: concurrency(3, 'Jobs of `booking:reminder`'),
  EMAIL_QUEUE_CONCURRENCY: concurrency(5, 'Jobs of `notification:email`'),
  BULL_BOARD_ENABLED: toggle({ area: 'jobs', default: true, doc: 'Serve Bull Board, the page over all queues.' }),
  BULL_BOARD_PATH: text({
    area: 'jobs',
    default: '/admin/queues',
    pattern: { test: BOARD_PATH, words: 'a path such as /admin/queues that no other page has' },
    doc: 'Where Bull Board is served.',
  }),
  BULL_BOARD_PORT: optionalInteger({
    area: 'jobs',
    min: 0,
    max: 65_535,
    doc: 'A port of its own for Bull Board, which is then not on PORT. 0 takes any free one.',
  }),
  SMTP_URL: optionalUrl({
    area: 'jobs',
    protocols: ['smtp:', 'smtps:'],
    secret: true,
    doc: 'Mail server: `smtp://user:password@host:587` (STARTTLS when offered) or `smtps://…:465`. Unset: e-mail jobs fail and say so.',
  }),
  MAIL_FROM: optionalText({
    area: 'jobs',
    pattern: { test: /^[^\r\n]*[^\s@<>]+@[^\s@<>]+>?$/, words: 'an address: `Salon Aurora <hello@example.com>`' },
    doc: 'Sender of e-mail. Needed with SMTP_URL.',
  }),
  QUIET_HOURS: optionalText({
    area: 'jobs',
    pattern: {
      test: /^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$/,
      words: 'two times of day, such as 21:00-08:00',
    },
    doc: "Reminders are not sent in these hours of the customer's day. Unset: none.",
  }),
} as const;

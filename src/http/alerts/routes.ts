import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { ALERT_RULES, type Alert, type AlertRule } from '../../observe/index.ts';

export interface AlertRouteOptions {
  /** As the process that leads last wrote it. */
  readonly state: {
    readonly alerts: readonly Alert[];
    readonly outbox: readonly unknown[];
    readonly evaluatedAtMs: number;
    readonly by: string;
  };
}

const instant = z.iso.datetime().nullable();
const severity = z.enum(['warning', 'critical']);
const answer = z.object({
  items: z
    .array(
      z.object({
        alert: z.string(),
        severity,
        state: z.enum(['pending', 'firing', 'resolved']),
        sentence: z.string(),
        advice: z.string().describe('What to do about it.'),
        instance: z.string().nullable().describe('Which breaker, cache or server; null when there is only one.'),
        value: z.number(),
        since: instant,
        firedAt: instant,
        resolvedAt: instant,
      }),
    )
    .describe('Firing first, then pending, then those that ended within a day.'),
  rules: z.array(z.object({ alert: z.string(), severity, forSeconds: z.number(), sentence: z.string() })),
  evaluatedAt: instant.describe('When the rules were last looked at; more than 15 s ago means that nobody does.'),
  evaluatedBy: z.string().nullable(),
  noticesWaiting: z.int().min(0).describe('Notices that the alert webhook has not taken yet.'),
});

const ORDER = { firing: 0, pending: 1, resolved: 2 } as const;

/** `/admin/alerts`: what is wrong now, since when, and what to do. */
export function alertRoutes(app: FastifyInstance, options: AlertRouteOptions): void {
  const rules = new Map(ALERT_RULES.map((rule) => [rule.id, rule]));
  app.withTypeProvider<ZodTypeProvider>().get(
    '/admin/alerts',
    {
      config: { access: 'viewer' },
      schema: { tags: ['administration'], summary: 'Alerts, and the rules behind them', response: { 200: answer } },
    },
    () => {
      const { alerts, outbox, evaluatedAtMs, by } = options.state;
      const items = alerts.flatMap((alert) => {
        // A rule of another version of this program has no sentence here.
        const rule = rules.get(alert.rule);
        return rule === undefined ? [] : [shown(rule, alert)];
      });
      return {
        items: items.sort((a, b) => ORDER[a.state] - ORDER[b.state] || (b.since ?? '').localeCompare(a.since ?? '')),
        rules: ALERT_RULES.map(({ id, forSeconds, sentence, severity: level }) => ({
          alert: id,
          severity: level,
          forSeconds,
          sentence,
        })),
        evaluatedAt: evaluatedAtMs === 0 ? null : new Date(evaluatedAtMs).toISOString(),
        evaluatedBy: by === '' ? null : by,
        noticesWaiting: outbox.length,
      };
    },
  );
}

function shown({ severity: level, sentence, advice }: AlertRule, alert: Alert) {
  const time = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
  return {
    alert: alert.rule,
    severity: level,
    state: alert.state,
    sentence,
    advice,
    instance: alert.instance === '' ? null : alert.instance,
    value: alert.value,
    since: time(alert.sinceMs),
    firedAt: time(alert.firedAtMs),
    resolvedAt: time(alert.resolvedAtMs),
  };
}

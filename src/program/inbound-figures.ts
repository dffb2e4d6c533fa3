import type { InboundFigures } from '../inbound/index.ts';
import type { Figure, MetricDefinition, MetricSource } from '../model/figures.ts';

export const INBOUND_METRICS: readonly MetricDefinition[] = [
  {
    name: 'waxwing_inbound_total',
    help: 'What came in by webhook: webhooks, messages, duplicates (were there already), statuses, echoes (written on the business phone), limited (above the limit of their person), broken (unreadable), foreign (of no sender of ours), fallbacks (kept in PostgreSQL), failures (jobs tried again).',
    type: 'counter',
    labels: ['what'],
    scope: 'process',
  },
  {
    name: 'waxwing_inbound_unknown_total',
    help: "What came in and has no reader here, by the provider's own word; status.<name> is a field of a status that no version knew, other is all that came after 200 words.",
    type: 'counter',
    labels: ['word'],
    scope: 'process',
  },
];

const COUNTS = [
  ...(['webhooks', 'messages', 'duplicates', 'statuses', 'echoes'] as const),
  ...(['limited', 'broken', 'foreign', 'fallbacks', 'failures'] as const),
];
const UNKNOWN = 'other:';
/** A word of a provider's format. What looks like data (a long number, an address) names no label. */
const WORD = /^(?!.*\d{5})[\w.:/-]{1,128}$/;

/** What the inbound statistics of this process counted. */
export function inboundSource(statistics: { figures(): InboundFigures }): MetricSource {
  return {
    name: 'inbound',
    metrics: INBOUND_METRICS,
    read() {
      const figures = statistics.figures();
      return [
        ...COUNTS.map((what) => ({ name: 'waxwing_inbound_total', labels: { what }, value: figures[what] })),
        ...unknown(figures.events),
      ];
    },
  };
}

function unknown(events: InboundFigures['events']): Figure[] {
  const words = new Map<string, number>();
  for (const [event, count] of Object.entries(events)) {
    const isUnknown = event.startsWith(UNKNOWN);
    if (!isUnknown && event !== 'more') continue;
    const word = event.slice(UNKNOWN.length);
    const name = isUnknown && WORD.test(word) ? word : 'other';
    words.set(name, (words.get(name) ?? 0) + count);
  }
  return [...words].map(([word, value]) => ({ name: 'waxwing_inbound_unknown_total', labels: { word }, value }));
}

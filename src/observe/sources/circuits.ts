import type { SendQueue } from '../../engine/contract.ts';
import type { MetricDefinition, MetricSource } from '../../model/figures.ts';
import type { BreakerSnapshot } from '../../util/breakers.ts';

export const CIRCUIT_METRICS: readonly MetricDefinition[] = [
  {
    name: 'waxwing_breaker_open',
    help: '1 while a circuit breaker holds calls back, half-open included; of a sender (sender:…) over all workers, else of a process.',
    type: 'gauge',
    labels: ['breaker'],
    scope: 'process',
  },
  {
    name: 'waxwing_sender_circuits_total',
    help: "How often senders' circuits opened and closed since the queue exists.",
    type: 'counter',
    labels: ['to'],
    scope: 'shared',
  },
];

/** Circuit breakers: those of senders, which all workers share, and those of this process. */
export function circuitSource(options: {
  readonly queue: Pick<SendQueue, 'circuits'>;
  readonly breakers: () => readonly BreakerSnapshot[];
  readonly senders: () => Promise<ReadonlyMap<string, number>>;
}): MetricSource {
  return {
    name: 'circuit',
    metrics: CIRCUIT_METRICS,
    async read() {
      const [{ open, opened, closed }, senders] = await Promise.all([options.queue.circuits(), options.senders()]);
      const isOpen = new Set(open.map(({ sender }) => sender));
      const names = [...new Set([...isOpen, ...senders.keys()])].slice(0, SENDERS_MAX);
      return [
        // Closed ones are told too: only so an alert can end.
        ...names.map((sender) => ofBreaker(`sender:${sender}`, isOpen.has(sender))),
        ...options.breakers().map(({ name, state }) => ofBreaker(name, state !== 'closed')),
        { name: 'waxwing_sender_circuits_total', labels: { to: 'open' }, value: opened },
        { name: 'waxwing_sender_circuits_total', labels: { to: 'closed' }, value: closed },
      ];
    },
  };
}

/** Open ones come first, so that a bound never hides one. */
const SENDERS_MAX = 500;

function ofBreaker(breaker: string, isOpen: boolean) {
  return { name: 'waxwing_breaker_open', labels: { breaker }, value: isOpen ? 1 : 0 };
}

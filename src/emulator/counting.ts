import type { FastifyReply } from 'fastify';
import type { Decision } from './decide.ts';
import type { NumberState } from './numbers.ts';
import type { World } from './world.ts';

/** Counts a request of the number until its answer has gone. */
export function countInFlight(world: World, number: NumberState, reply: FastifyReply): void {
  const { totals } = world;
  totals.inFlight += 1;
  totals.inFlightMax = Math.max(totals.inFlightMax, totals.inFlight);
  number.inFlight += 1;
  number.inFlightMax = Math.max(number.inFlightMax, number.inFlight);
  // `close` comes once for every answer, also for one that was broken off.
  reply.raw.once('close', () => {
    totals.inFlight -= 1;
    number.inFlight -= 1;
  });
}

/** Counts what became of a message. */
export function countOutcome(world: World, number: NumberState, decision: Decision): void {
  const { totals } = world;
  if (decision.taken) number.accepted += 1;
  else number.rejected += 1;
  if (decision.outcome === 'accepted') totals.accepted += 1;
  else if (decision.outcome === 'limited') totals.limited += 1;
  else if (decision.outcome === 'rejected') totals.rejected += 1;
  else totals.faults += 1;
  if (decision.taken && decision.failure) totals.failedLater += 1;
}

import type { z } from 'zod';
import { maskData, maskText, orNull } from '../mask.ts';
import type { eventDetailSchema, eventSchema } from './schemas.ts';

type EventView = z.infer<typeof eventSchema>;
type EventDetailView = z.infer<typeof eventDetailSchema>;

/** An event for those who may not see what people wrote or are called by. */
export function maskEvent<E extends EventView>(event: E): E {
  const { conversation, lastError } = event;
  return { ...event, conversation: orNull(conversation, maskText), lastError: orNull(lastError, maskText) };
}

/** The same with what it tells. */
export function maskEventDetail(event: EventDetailView): EventDetailView {
  return { ...maskEvent(event), data: maskData(event.data) as EventDetailView['data'] };
}

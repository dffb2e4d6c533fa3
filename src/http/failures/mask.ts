import type { z } from 'zod';
import { maskData, maskNumbers, maskPerson, maskText, maskWords, orNull } from '../mask.ts';
import type { failureSchema, letterDetailSchema } from './schemas.ts';

type FailureView = z.infer<typeof failureSchema>;
type LetterDetailView = z.infer<typeof letterDetailSchema>;

/** A row of the failure record for those who may not see what people wrote or are called by. */
export function maskFailure(failure: FailureView): FailureView {
  return {
    ...failure,
    phoneNumber: maskPerson(failure.phoneNumber),
    message: maskWords(failure.message),
    idempotencyKey: orNull(failure.idempotencyKey, maskText),
    errorMessage: orNull(failure.errorMessage, maskText),
    // Words of ours; who discarded or redrove it is one of those who run this.
    metadata: Object.fromEntries(
      Object.entries(failure.metadata).map(([name, value]) => [name, name.endsWith('By') ? value : maskNumbers(value)]),
    ),
  };
}

/** The same of a dead letter with its message, attempts and failure. */
export function maskLetter(letter: LetterDetailView): LetterDetailView {
  return {
    ...letter,
    conversation: maskText(letter.conversation),
    to: orNull(letter.to, maskPerson),
    content: maskData(letter.content),
    error: maskNumbers(letter.error) as LetterDetailView['error'],
    attempts: letter.attempts.map((attempt) => ({
      ...attempt,
      error: maskNumbers(attempt.error) as typeof attempt.error,
    })),
    failure: letter.failure === null ? null : maskFailure(letter.failure),
  };
}

/** The program cannot start as it is configured; the message is a sentence for the person. */
export class StartError extends Error {
  override readonly name = 'StartError';
}

import { hasCode } from './app-error.ts';

/** What a call to the record brings, or null while the record is away; any other error is thrown. */
export async function nullWhileAway<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if (hasCode(error, 'RECORD_UNAVAILABLE')) return null;
    throw error;
  }
}

import { AppError } from './app-error.ts';

/** Runs work that names fields in the product's own words, for a caller who has others for some of them. */
export async function renamingFields<T>(names: Readonly<Record<string, string>>, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof AppError) || error.field === undefined) throw error;
    const field = names[error.field];
    if (field === undefined) throw error;
    const { code, detail, retryAfterSeconds } = error;
    throw new AppError(code, {
      detail,
      field,
      cause: error,
      ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    });
  }
}

import { Readable } from 'node:stream';
import type { DeadLetterDetail } from '../../failures/index.ts';
import { maskLetter } from './mask.ts';
import { letterDetailView } from './schemas.ts';

/**
 * Dead letters as NDJSON, one object per line, masked unless `isClear`. Comes back with the first line read, so that a
 * record that is away is a 503 and not an answer that breaks off.
 */
export async function linesOf(letters: AsyncIterable<DeadLetterDetail>, isClear: boolean): Promise<Readable> {
  const lines = ndjson(letters, isClear);
  const first = await lines.next();
  return Readable.from(
    (async function* () {
      if (first.done !== true) yield first.value;
      yield* lines;
    })(),
  );
}

async function* ndjson(letters: AsyncIterable<DeadLetterDetail>, isClear: boolean): AsyncGenerator<string, void> {
  for await (const detail of letters) {
    const view = letterDetailView(detail);
    yield `${JSON.stringify(isClear ? view : maskLetter(view))}\n`;
  }
}

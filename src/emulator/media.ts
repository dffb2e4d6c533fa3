import { createHash, randomBytes } from 'node:crypto';
import { newObjectId } from './identity.ts';
import { GraphError } from './graph-error.ts';

export interface MediaItem {
  readonly id: string;
  readonly mimeType: string;
  readonly bytes: Buffer;
  readonly sha256: string;
  readonly filename: string | null;
  /** Part of the download address; a new one with every `GET /{media_id}`. */
  token: string;
  tokenUntilMs: number;
}

const MEGABYTE = 1024 * 1024;
const URL_LIFE_MS = 5 * 60_000;
/** Formats and sizes of Meta's media page. */
const KINDS: readonly { readonly types: RegExp; readonly maxBytes: number }[] = [
  { types: /^image\/(jpeg|png)$/, maxBytes: 5 * MEGABYTE },
  { types: /^image\/webp$/, maxBytes: 500 * 1024 },
  { types: /^video\/(mp4|3gpp)$/, maxBytes: 16 * MEGABYTE },
  { types: /^audio\/(aac|amr|mpeg|mp4|ogg)$/, maxBytes: 16 * MEGABYTE },
  { types: /^(text\/plain|application\/[\w.+-]+)$/, maxBytes: 100 * MEGABYTE },
];
/** Ids that were deleted are remembered, so that they are not taken for phone numbers. */
const GONE_MAX = 10_000;

/** Uploaded media, in memory; the oldest goes when there is more than `bytesMax`. */
export class Media {
  readonly #items = new Map<string, MediaItem>();
  readonly #gone = new Set<string>();
  #bytes = 0;
  bytesMax: number;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  /** Keeps a file. Throws 100 for a type that WhatsApp does not take and 131053 for one that is too large. */
  add(bytes: Buffer, mimeType: string, filename: string | null): MediaItem {
    const bare = (mimeType.split(';')[0] ?? '').trim().toLowerCase();
    const kind = KINDS.find((entry) => entry.types.test(bare));
    if (!kind)
      throw new GraphError(100, {
        message: '(#100) Invalid parameter',
        details: `Param file must be a file with one of the supported media types, got ${bare.slice(0, 100)}.`,
      });
    if (bytes.length === 0) throw new GraphError(131053, { details: 'The file is empty.' });
    if (bytes.length > kind.maxBytes)
      throw new GraphError(131053, {
        details: `The file has ${bytes.length} bytes; ${bare} may have at most ${kind.maxBytes}.`,
      });
    const item: MediaItem = {
      id: newObjectId(),
      mimeType: mimeType.slice(0, 200),
      bytes,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      filename,
      token: '',
      tokenUntilMs: 0,
    };
    this.#items.set(item.id, item);
    this.#bytes += bytes.length;
    for (const id of this.#items.keys()) {
      if (this.#bytes <= this.bytesMax || this.#items.size === 1) break;
      this.delete(id);
    }
    return item;
  }

  find(id: string): MediaItem | undefined {
    return this.#items.get(id);
  }

  /** Was this id ever a medium's. */
  wasIssued(id: string): boolean {
    return this.#items.has(id) || this.#gone.has(id);
  }

  delete(id: string): boolean {
    const item = this.#items.get(id);
    if (!item) return false;
    this.#items.delete(id);
    this.#bytes -= item.bytes.length;
    this.#gone.add(id);
    if (this.#gone.size > GONE_MAX) for (const oldest of this.#gone) return this.#gone.delete(oldest);
    return true;
  }

  /** Makes a download token that is good for five minutes. */
  issueToken(item: MediaItem): string {
    item.token = randomBytes(18).toString('base64url');
    item.tokenUntilMs = Date.now() + URL_LIFE_MS;
    return item.token;
  }

  clear(): void {
    for (const id of [...this.#items.keys()]) this.delete(id);
  }
}

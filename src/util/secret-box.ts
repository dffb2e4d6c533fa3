import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';

/**
 * Envelope: version (1 byte), key id (4), nonce (12), tag (16), ciphertext. The key id is not secret: it says which
 * key opens the envelope, so that keys can be rotated while old envelopes are still about.
 */
const VERSION = 1;
const KEY_ID_BYTES = 4;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEADER_BYTES = 1 + KEY_ID_BYTES;
const OVERHEAD_BYTES = HEADER_BYTES + NONCE_BYTES + TAG_BYTES;

/** The shortest key text that is taken: 16 characters of a random key are beyond guessing. */
const KEY_TEXT_LENGTH_MIN = 16;

/** Encrypts small secrets at rest. Stateless: safe to share. */
export interface SecretBox {
  /**
   * Encrypts with the current key.
   * @param context what the secret belongs to (`sender:<id>`): authenticated, not stored; the same is needed to open it,
   *   so an envelope that is copied to another row does not open there
   */
  seal(plaintext: string, context: string): Buffer;
  /** @throws SecretBoxError when the key is unknown, or the envelope was changed or belongs to another context */
  open(envelope: Buffer, context: string): string;
  /** False for an envelope of an earlier key: seal it again to finish a rotation. */
  isCurrent(envelope: Buffer): boolean;
}

export interface SecretBoxOptions {
  /** WAXWING_SECRET_KEY: any text of at least 16 characters, best 32 random bytes as base64. */
  readonly key: string;
  /** Earlier keys, which open but do not seal. Default none. */
  readonly previousKeys?: readonly string[];
}

/** An envelope cannot be opened, or a key cannot be used. The message holds no secret. */
export class SecretBoxError extends Error {
  override readonly name = 'SecretBoxError';
}

interface Key {
  readonly id: Buffer;
  readonly bytes: Buffer;
}

/**
 * AES-256-GCM with a random nonce per envelope.
 * @throws SecretBoxError when a key is too short
 */
export function createSecretBox(options: SecretBoxOptions): SecretBox {
  const current = deriveKey(options.key);
  const keys = [current, ...(options.previousKeys ?? []).map(deriveKey)];

  return {
    seal(plaintext, context) {
      const header = Buffer.concat([Buffer.of(VERSION), current.id]);
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', current.bytes, nonce).setAAD(additionalData(header, context));
      const ciphertext = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final()]);
      return Buffer.concat([header, nonce, cipher.getAuthTag(), ciphertext]);
    },

    open(envelope, context) {
      if (envelope.length < OVERHEAD_BYTES || envelope[0] !== VERSION) {
        throw new SecretBoxError('The stored secret is not an envelope of this version: enter the secret again.');
      }
      const header = envelope.subarray(0, HEADER_BYTES);
      const id = header.subarray(1);
      const key = keys.find((candidate) => candidate.id.equals(id));
      if (key === undefined) {
        throw new SecretBoxError(
          `The stored secret was sealed with another key (id ${id.toString('hex')}): ` +
            'set WAXWING_SECRET_KEY to that key again, or enter the secret again.',
        );
      }
      const nonce = envelope.subarray(HEADER_BYTES, HEADER_BYTES + NONCE_BYTES);
      const tag = envelope.subarray(HEADER_BYTES + NONCE_BYTES, OVERHEAD_BYTES);
      try {
        const decipher = createDecipheriv('aes-256-gcm', key.bytes, nonce, { authTagLength: TAG_BYTES })
          .setAAD(additionalData(header, context))
          .setAuthTag(tag);
        return Buffer.concat([decipher.update(envelope.subarray(OVERHEAD_BYTES)), decipher.final()]).toString('utf8');
      } catch (error) {
        throw new SecretBoxError('The stored secret was changed or belongs to another place: enter it again.', {
          cause: error,
        });
      }
    },

    isCurrent(envelope) {
      return envelope[0] === VERSION && envelope.subarray(1, HEADER_BYTES).equals(current.id);
    },
  };
}

/** The header is authenticated too, so that an envelope cannot be relabelled to another key. */
function additionalData(header: Buffer, context: string): Buffer {
  return Buffer.concat([header, Buffer.from(context, 'utf8')]);
}

function deriveKey(text: string): Key {
  if (text.length < KEY_TEXT_LENGTH_MIN) {
    throw new SecretBoxError(
      `WAXWING_SECRET_KEY needs at least ${KEY_TEXT_LENGTH_MIN} characters, best 32 random bytes.`,
    );
  }
  const bytes = Buffer.from(hkdfSync('sha256', text, '', 'waxwing secret box v1', 32));
  return { id: createHash('sha256').update(bytes).digest().subarray(0, KEY_ID_BYTES), bytes };
}

import { request } from 'undici';
import { AccountError } from '../account-error.ts';
import type { MessageProvider, ProviderOutcome, ProviderSend, SenderAccount } from '../contract.ts';
import { HttpExchange, type HttpExchangeOptions } from '../http-exchange.ts';
import { asObject, asText, parseJson } from '../json.ts';
import { misconfigured } from '../outcomes.ts';
import { personalValues } from '../redact.ts';
import { UnsupportedMessage, unsupportedOutcome } from '../unsupported.ts';
import { evolutionOutcome } from './answer.ts';
import { evolutionCall, evolutionEndpoint } from './request.ts';

export type EvolutionProviderOptions = HttpExchangeOptions;

export interface EvolutionProvider extends MessageProvider {
  readonly name: 'evolution';
  /**
   * Asks for the state of an instance's connection: `open`, `connecting`, `close` or another word of the server.
   * Null when the server did not say. Never throws.
   */
  connectionState(account: SenderAccount): Promise<string | null>;
}

const STATE_TIMEOUT_MS = 5_000;
const STATE_BYTES_MAX = 65_536;

/** Evolution API v2. One call is one HTTP request; nothing is repeated here. */
export function createEvolutionProvider(options: EvolutionProviderOptions = {}): EvolutionProvider {
  const exchange = new HttpExchange(options);
  return {
    name: 'evolution',
    async send({ account, body, signal, beforeFirstByte }: ProviderSend): Promise<ProviderOutcome> {
      try {
        const { route, payload } = evolutionCall(body, account.channel);
        const endpoint = evolutionEndpoint(account, `message/${route}`);
        const result = await exchange.post({
          ...endpoint,
          body: JSON.stringify(payload),
          ...(signal === undefined ? {} : { signal }),
          ...(beforeFirstByte === undefined ? {} : { beforeFirstByte }),
        });
        return evolutionOutcome(result, { hidden: () => personalValues(body) });
      } catch (error) {
        if (error instanceof AccountError) return misconfigured(error);
        if (error instanceof UnsupportedMessage) return unsupportedOutcome(error);
        throw error;
      }
    },
    async connectionState(account) {
      try {
        const { url, headers } = evolutionEndpoint(account, 'instance/connectionState');
        const timeouts = { headersTimeout: STATE_TIMEOUT_MS, bodyTimeout: STATE_TIMEOUT_MS };
        const signal = AbortSignal.timeout(2 * STATE_TIMEOUT_MS);
        const answer = await request(url, { headers: { apikey: headers['apikey'] ?? '' }, signal, ...timeouts });
        const text = await readBounded(answer.body);
        if (answer.statusCode !== 200) return null;
        const instance = asObject(asObject(parseJson(text))?.['instance']);
        return asText(instance?.['state'], 32)?.toLowerCase() ?? null;
      } catch {
        // Whatever the network or the server does: the state is not known.
        return null;
      }
    },
    close: () => exchange.close(),
  };
}

async function readBounded(body: AsyncIterable<unknown>): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    if (!Buffer.isBuffer(chunk)) break;
    bytes += chunk.length;
    if (bytes > STATE_BYTES_MAX) break;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

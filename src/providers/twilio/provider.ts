import { AccountError } from '../account-error.ts';
import type { MessageProvider, ProviderOutcome, ProviderSend } from '../contract.ts';
import { HttpExchange, type HttpExchangeOptions } from '../http-exchange.ts';
import { misconfigured } from '../outcomes.ts';
import { personalValues } from '../redact.ts';
import { UnsupportedMessage, unsupportedOutcome } from '../unsupported.ts';
import { twilioOutcome } from './answer.ts';
import { statusCallbackUrl } from './callback.ts';
import { twilioEndpoint, twilioFields } from './request.ts';

export interface TwilioProviderOptions extends HttpExchangeOptions {
  /** Base address under which Twilio reaches this server; absent = statuses come only as the console is set up. */
  readonly publicUrl?: string | undefined;
}

/** WhatsApp through Twilio's Messages resource. One call is one HTTP request; nothing is repeated here. */
export function createTwilioProvider({ publicUrl, ...options }: TwilioProviderOptions = {}): MessageProvider {
  const exchange = new HttpExchange(options);
  return {
    name: 'twilio',
    async send({ account, body, tag, signal, beforeFirstByte }: ProviderSend): Promise<ProviderOutcome> {
      try {
        const fields = twilioFields(body);
        const { url, headers, from } = twilioEndpoint(account);
        const callback =
          publicUrl === undefined ? {} : { StatusCallback: statusCallbackUrl(publicUrl, account.id, tag) };
        const result = await exchange.post({
          url,
          headers,
          body: new URLSearchParams({ ...fields, ...from, ...callback }).toString(),
          ...(signal === undefined ? {} : { signal }),
          ...(beforeFirstByte === undefined ? {} : { beforeFirstByte }),
        });
        return twilioOutcome(result, {
          linkMedia: fields['MediaUrl'] !== undefined,
          hidden: () => personalValues(body),
        });
      } catch (error) {
        if (error instanceof AccountError) return misconfigured(error);
        if (error instanceof UnsupportedMessage) return unsupportedOutcome(error);
        throw error;
      }
    },
    close: () => exchange.close(),
  };
}

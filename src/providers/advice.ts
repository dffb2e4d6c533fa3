import type { MessageError } from '../model/message.ts';
import type { SenderProvider } from '../model/provider.ts';
import { lookupCloudError } from './cloud/errors.ts';
import { lookupEvolutionError } from './evolution/error-table.ts';
import { lookupTwilioError } from './twilio/error-table.ts';
import type { ErrorClass, ProviderErrorCode } from './contract.ts';
import { entryFor, type ProviderErrorEntry } from './error-entry.ts';

/** What a person reads beside a failure. */
export interface Advice {
  /** Null when the failure is not the provider's word. */
  readonly class: ErrorClass | null;
  readonly title: string;
  readonly meaning: string;
  readonly waxwingDoes: string;
  readonly personShould: string;
}

/** The tables by provider; `code` is the provider's own as text. Null = the table has nothing to say. */
const TABLES: Readonly<Record<SenderProvider, (code: string) => ProviderErrorEntry | null>> = {
  cloud: (code) => (isNumber(code) ? lookupCloudError(Number(code), 400, false) : null),
  // On its Cloud channel the codes are Meta's.
  evolution: (code) =>
    lookupEvolutionError(code) ?? (isNumber(code) ? lookupCloudError(Number(code), 400, false) : null),
  twilio: (code) => (isNumber(code) ? lookupTwilioError(Number(code)) : null),
};

function isNumber(code: string): boolean {
  return /^\d{1,15}$/.test(code);
}

const OWN: Readonly<Partial<Record<ProviderErrorCode | (string & {}), Omit<Advice, 'class' | 'title'>>>> = {
  SENDER_MISCONFIGURED: {
    meaning: 'The sender has no usable address or credentials; nothing was sent.',
    waxwingDoes: 'Pauses the sender and keeps its messages queued.',
    personShould: "Correct the sender's address and credentials, then resume the sender.",
  },
  PROVIDER_UNREACHABLE: {
    meaning: 'No connection to the provider came about; nothing was sent.',
    waxwingDoes: 'Tries again within seconds, then on the slow schedule.',
    personShould: 'Check the network, the name server and any proxy between Waxwing and the provider; then redrive.',
  },
  SEND_BROKE: {
    meaning: 'Waxwing itself failed over this message; nothing was sent.',
    waxwingDoes: 'Tries again within seconds, then on the slow schedule, and goes on with the other messages.',
    personShould: 'Report it with the line "an attempt broke" of the log; redrive the message after an update.',
  },
  PROVIDER_OUTCOME_UNKNOWN: {
    meaning: 'The request left and no trustworthy answer came: the person may have the message, or not.',
    waxwingDoes: 'Waits for a status that proves it, sends once more if none comes, and then leaves it to a person.',
    personShould: 'Look into the chat if you can. Redrive it if a second copy does no harm; discard it if it would.',
  },
  WINDOW_CLOSED: {
    meaning: "More than 24 hours have passed since the person's last message, and only a template may be sent then.",
    waxwingDoes: 'Fails the message before it is sent, because ON_WINDOW_CLOSED says so.',
    personShould: 'Send a template instead. When the person writes, redrive it.',
  },
  MESSAGE_DAMAGED: {
    meaning: 'The stored message does not match its checksum; it was not sent.',
    waxwingDoes: 'Never sends a damaged message.',
    personShould: 'Check disk and memory of the machine that runs Redis, and send the message again.',
  },
};

/** The plain words for a failure: of the provider's table, else of Waxwing's own codes, else the error itself. */
export function adviceFor(
  provider: SenderProvider,
  error: Pick<MessageError, 'code' | 'providerCode' | 'title' | 'detail'>,
): Advice {
  const found = error.providerCode === null ? null : TABLES[provider](error.providerCode);
  if (found !== null) {
    const { class: errorClass, title, meaning, waxwingDoes, personShould } = entryFor(found, error.detail);
    return { class: errorClass, title, meaning, waxwingDoes, personShould };
  }
  const own = OWN[error.code];
  if (own !== undefined) return { class: null, title: error.title, ...own };
  return {
    class: null,
    title: error.title,
    meaning: error.detail,
    waxwingDoes: 'Keeps the message as a dead letter.',
    personShould: 'Correct the cause, then redrive or discard the message.',
  };
}

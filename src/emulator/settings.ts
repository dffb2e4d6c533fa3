import { z } from 'zod';

/**
 * What can be changed while the emulator runs: `GET` and `PATCH /_emulator/settings`. The schema holds the defaults,
 * so the documentation route, the start options and a reset all agree.
 */
const probability = z.number().min(0).max(1);
const delayMs = z.number().int().min(0).max(3_600_000);
const httpUrl = z.url({ protocol: /^https?$/, error: 'must be an http or https address' });

/** Fields of a number that a rule of Meta's or the page shows; the limits override `limits` for this number. */
const numberSchema = z.strictObject({
  displayPhoneNumber: z.string().max(32).optional(),
  verifiedName: z.string().max(128).optional(),
  qualityRating: z.enum(['GREEN', 'YELLOW', 'RED', 'NA']).optional(),
  /** Messages in any rolling second; 0 = no limit. */
  throughputPerSecond: z.number().int().min(0).max(1_000_000).optional(),
  pairCapacity: z.number().int().min(0).max(1_000_000).optional(),
  pairRefillMs: z.number().int().min(1).max(86_400_000).optional(),
  /** Overrides `webhook.url` for this number, as Meta's callback override does. */
  webhookUrl: httpUrl.nullable().optional(),
});

const templateSchema = z.strictObject({
  /** Made when it is left out. */
  id: z.string().max(32).optional(),
  /** Everything as it was handed in through the API; without, they are made of `body` and `buttons`. */
  components: z.array(z.record(z.string(), z.unknown())).max(10).optional(),
  name: z.string().min(1).max(512),
  language: z.string().min(2).max(16),
  status: z.enum(['APPROVED', 'PENDING', 'REJECTED', 'PAUSED', 'DISABLED']).default('APPROVED'),
  category: z.enum(['MARKETING', 'UTILITY', 'AUTHENTICATION']).default('UTILITY'),
  /** Text with `{{1}}` or `{{name}}`: its distinct places are the parameters that a send must fill. */
  body: z.string().max(4096).optional(),
  /** Quick replies shown on the page. */
  buttons: z.array(z.string().min(1).max(25)).max(10).default([]),
  /** Answers `held_for_quality_assessment` and sends no status, as template pacing does. */
  hold: z.boolean().default(false),
});
export type TemplateSettings = z.infer<typeof templateSchema>;

export const settingsSchema = z
  .strictObject({
    /** Accepted bearer tokens; null = any that is not empty. */
    accessTokens: z.array(z.string().min(1)).nullable().default(null),
    businessAccountId: z.string().regex(/^\d+$/, 'must be digits').default('102290129340398'),
    /** Every answer to a send waits a random time in this range. */
    latencyMsMin: delayMs.default(0),
    latencyMsMax: delayMs.default(0),
    /** Refuse keys that the Cloud API does not know (code 100). */
    strictFields: z.boolean().default(true),
    /** Refuse a phone number id that is not in `numbers` (code 100, subcode 33). */
    knownNumbersOnly: z.boolean().default(false),
    /** Refuse a media id that was not uploaded here (code 131009). */
    knownMediaOnly: z.boolean().default(false),
    /** Recipients that a test number may write to (others: 131030); null = everybody. */
    allowedRecipients: z.array(z.string()).nullable().default(null),
    /** Known templates (others: 132001); null = every name is known. */
    templates: z.array(templateSchema).max(10_000).nullable().default(null),
    limits: z
      .strictObject({
        /** Messages of one number in any rolling second (130429); 0 = no limit. */
        throughputPerSecond: z.number().int().min(0).max(1_000_000).default(80),
        /** Bucket of one number and one recipient (131056); 0 = no limit. */
        pairCapacity: z.number().int().min(0).max(1_000_000).default(45),
        /** One token comes back per this time. */
        pairRefillMs: z.number().int().min(1).max(86_400_000).default(6000),
        /** HTTP status of both refusals: Meta was seen to use all three. */
        httpStatus: z.union([z.literal(400), z.literal(403), z.literal(429)]).default(429),
        /** Meta counts inbound messages towards throughput too; off, so that a test sees only its own sends. */
        countInbound: z.boolean().default(false),
      })
      .prefault({}),
    window: z
      .strictObject({
        /** Free-form messages outside the window are answered 200 and then fail with 131047. */
        enforce: z.boolean().default(false),
        lengthMs: z.number().int().min(1).default(86_400_000),
      })
      .prefault({}),
    statuses: z
      .strictObject({
        enabled: z.boolean().default(true),
        /** Counted from the answer (from the request with `beforeAnswer`). */
        sentDelayMs: delayMs.default(60),
        /** Counted from `sent`. */
        deliveredDelayMs: delayMs.default(400),
        /** Counted from `delivered`. */
        readDelayMs: delayMs.default(1500),
        /** Up to this much is added to each, at random. */
        jitterMs: delayMs.default(60),
        deliveredProbability: probability.default(1),
        readProbability: probability.default(1),
        /** Chance that a message that is read reports no `delivered`, as Meta does when it is read at once. */
        skipDeliveredProbability: probability.default(0),
        /** Let the first status overtake the HTTP answer. */
        beforeAnswer: z.boolean().default(false),
      })
      .prefault({}),
    webhook: z
      .strictObject({
        url: httpUrl.nullable().default(null),
        /** Key of `X-Hub-Signature-256`; without it webhooks are not signed. */
        appSecret: z.string().min(1).nullable().default(null),
        verifyToken: z.string().min(1).nullable().default(null),
        /** Updates in one POST, at most (Meta: 1,000). Under light load each goes alone. */
        batchMax: z.number().int().min(1).max(1000).default(50),
        /** How long to gather a batch; 0 = only what is ready in the same moment. */
        batchWaitMs: delayMs.default(0),
        /** Every update waits this long more. */
        delayMs: delayMs.default(0),
        /** Every update waits a random time up to this, so that they overtake each other. */
        shuffleMs: delayMs.default(0),
        duplicateProbability: probability.default(0),
        dropProbability: probability.default(0),
        /** Keep updates until it is false again. */
        paused: z.boolean().default(false),
        timeoutMs: z.number().int().min(10).max(600_000).default(10_000),
        concurrency: z.number().int().min(1).max(256).default(8),
        /** Tries of one POST that is not answered 200; then it is given up. */
        attemptsMax: z.number().int().min(1).max(100).default(8),
        /** First wait; doubles with each further try, up to `retryDelayMsMax`. */
        retryDelayMs: z.number().int().min(1).max(3_600_000).default(1000),
        retryDelayMsMax: z.number().int().min(1).max(86_400_000).default(60_000),
        /** Updates kept for sending; what comes beyond is dropped and counted. */
        queueMax: z.number().int().min(1).max(10_000_000).default(100_000),
      })
      .prefault({}),
    evolution: z
      .strictObject({
        /** Accepted `apikey` headers; null = any that is not empty. */
        apiKeys: z.array(z.string().min(1)).nullable().default(null),
        webhookUrl: httpUrl.nullable().default(null),
        /** Headers of every webhook: put the secret word here. */
        webhookHeaders: z
          .record(z.string().regex(/^[\w-]{1,64}$/, 'a name of a header'), z.string().max(512))
          .default({}),
        /** State of the connection by instance; others are `open`. A closed one refuses messages. */
        instances: z.record(z.string(), z.enum(['open', 'connecting', 'close'])).default({}),
      })
      .prefault({}),
    twilio: z
      .strictObject({
        /** The only account that is accepted; null = any. */
        accountSid: z.string().min(1).nullable().default(null),
        /** Accepted for Basic auth, and signs webhooks; null = any, and webhooks are not signed. */
        authToken: z.string().min(1).nullable().default(null),
        /** For messages of customers, and for statuses of messages that bring no StatusCallback. */
        webhookUrl: httpUrl.nullable().default(null),
      })
      .prefault({}),
    memory: z
      .strictObject({
        /** Requests that the ledger keeps in memory. */
        ledgerMax: z.number().int().min(1).max(5_000_000).default(200_000),
        conversationsMax: z.number().int().min(1).max(1_000_000).default(5000),
        messagesPerConversationMax: z.number().int().min(1).max(10_000).default(500),
        /** Messages over all conversations. */
        messagesMax: z.number().int().min(1).max(5_000_000).default(100_000),
        mediaBytesMax: z.number().int().min(1).default(268_435_456),
      })
      .prefault({}),
    /** By phone number id. */
    numbers: z.record(z.string().regex(/^\d{1,32}$/, 'a phone number id is digits'), numberSchema).default({}),
  })
  .refine((settings) => settings.latencyMsMin <= settings.latencyMsMax, {
    path: ['latencyMsMax'],
    error: 'must not be less than latencyMsMin',
  });

export type Settings = z.output<typeof settingsSchema>;

/** Part of the settings: objects are merged, everything else replaces; null removes an entry of `numbers`. */
export type SettingsPatch = Omit<z.input<typeof settingsSchema>, 'numbers'> & {
  numbers?: Record<string, z.input<typeof numberSchema> | null>;
};

/** One thing that is wrong with settings, a rule or an inbound message. */
export interface Problem {
  /** Path of the field, e.g. `webhook.batchMax`. */
  readonly field: string;
  readonly detail: string;
}

/** The caller of the control interface asked for something that is not valid. */
export class ControlError extends Error {
  override readonly name = 'ControlError';
  readonly status: number;
  readonly problems: readonly Problem[];

  constructor(detail: string, options: { status?: number; problems?: readonly Problem[] } = {}) {
    super(detail);
    this.status = options.status ?? 400;
    this.problems = options.problems ?? [];
  }
}

/** Parses with a schema; what is wrong becomes one `ControlError` that lists every problem. */
export function parseControl<T extends z.ZodType>(schema: T, value: unknown, what: string): z.output<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => ({ field: issue.path.join('.'), detail: issue.message }));
  const first = problems[0];
  throw new ControlError(`The ${what} is not valid: ${first ? `${first.field || 'body'}: ${first.detail}` : ''}`, {
    problems,
  });
}

const HIDDEN = '***';

/** New settings from old ones and a patch. Throws `ControlError` and changes nothing when the result is not valid. */
export function patchSettings(current: Settings | undefined, patch: unknown): Settings {
  if (!isPlainObject(patch)) throw new ControlError('Settings are a JSON object.');
  return parseControl(settingsSchema, merge(current ?? {}, patch), 'settings patch');
}

/** Settings as they may be shown: secrets are replaced by `***`, which a patch leaves as they are. */
export function shownSettings(settings: Settings): Settings {
  const hide = (value: string | null): string | null => (value === null ? null : HIDDEN);
  return {
    ...settings,
    accessTokens: settings.accessTokens === null ? null : settings.accessTokens.map(() => HIDDEN),
    webhook: {
      ...settings.webhook,
      appSecret: hide(settings.webhook.appSecret),
      verifyToken: hide(settings.webhook.verifyToken),
    },
    evolution: {
      ...settings.evolution,
      apiKeys: settings.evolution.apiKeys === null ? null : settings.evolution.apiKeys.map(() => HIDDEN),
      webhookHeaders: Object.fromEntries(Object.keys(settings.evolution.webhookHeaders).map((name) => [name, HIDDEN])),
    },
    twilio: { ...settings.twilio, authToken: hide(settings.twilio.authToken) },
  };
}

function merge(current: Record<string, unknown>, patch: Record<string, unknown>): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...current };
  for (const [key, value] of Object.entries(patch)) {
    if (key === '__proto__' || value === undefined || value === HIDDEN) continue;
    if (Array.isArray(value) && value.length > 0 && value.every((item) => item === HIDDEN)) continue;
    const old = merged[key];
    if (value === null && isPlainObject(old)) Reflect.deleteProperty(merged, key);
    else if (isPlainObject(value)) merged[key] = merge(isPlainObject(old) ? old : {}, value);
    else merged[key] = value;
  }
  return merged;
}

export function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

import type { ConfigValues } from './catalogue.ts';
import type { ConfigProblem, ConfigWarning } from './problem.ts';
import { addressFault } from '../util/guarded-fetch/index.ts';
import { queueRedis, queueServers } from './redis-url.ts';

/** Room between the end of an attempt and the takeover of its worker's work. */
const CLAIM_MARGIN_MS = 1000;

/** As HOST and as the host of an address. */
const LOCAL_HOSTS = ['127.0.0.1', 'localhost', '::1', '[::1]'];

/** Relations between settings that each are fine alone. `isSet` tells a given value from a default. */
export function checkRelations(values: ConfigValues, isSet: (name: string) => boolean) {
  const problems: ConfigProblem[] = [];
  const warnings: ConfigWarning[] = [];
  const problem = (key: string, expected: string, got: string | number | null) =>
    problems.push({ key, expected, got: got === null ? null : String(got) });
  const warn = (key: string, text: string) => warnings.push({ key, text });

  const attemptMs = values.providerTimeoutMs + CLAIM_MARGIN_MS;
  if (values.waStreamClaimIdleMs < attemptMs) {
    problem(
      'WA_STREAM_CLAIM_IDLE_MS',
      `at least PROVIDER_TIMEOUT_MS + ${CLAIM_MARGIN_MS} = ${attemptMs}, or live work would be taken over`,
      values.waStreamClaimIdleMs,
    );
  }
  if (values.shutdownGraceMs < values.providerTimeoutMs) {
    warn(
      'SHUTDOWN_GRACE_MS',
      `SHUTDOWN_GRACE_MS (${values.shutdownGraceMs}) is shorter than PROVIDER_TIMEOUT_MS (${values.providerTimeoutMs}): a slow attempt is cut off at shutdown and becomes ambiguous.`,
    );
  }
  if (values.pairBucketCapacity > 0 && values.pairBucketRefillPerSecond <= 0) {
    problem('PAIR_BUCKET_REFILL_PER_SECOND', 'more than 0 while PAIR_BUCKET_CAPACITY is not 0', 0);
  }
  const isOwn = [values.redisUrl, values.redisHost, queueServers(values)].some((one) => one !== undefined);
  if (values.acceptDurability === 'replica' && !isOwn) {
    problem('ACCEPT_DURABILITY', 'disk or memory: the embedded Redis has no replica', 'replica');
  }
  if (values.alertWebhookUrl !== undefined && values.alertWebhookSecret === undefined) {
    problem('ALERT_WEBHOOK_SECRET', 'a secret, because ALERT_WEBHOOK_URL is set and alerts are signed', null);
  }
  if (values.metricsOpen && values.metricsPort === undefined && !LOCAL_HOSTS.includes(values.host)) {
    warn(
      'METRICS_OPEN',
      'METRICS_OPEN opens /metrics at PORT, because METRICS_PORT is not set: whoever reaches PORT reads the figures, with the ids of tenants. With METRICS_PORT they are open at that port alone.',
    );
  }
  checkReceivers(values, problem);
  checkRedis(values, isSet, problem, warn);
  checkCloud(values, problem, warn);
  checkProviders(values, problem);
  checkKeys(values, problem, warn);
  if (values.smtpUrl !== undefined && values.mailFrom === undefined) {
    problem('MAIL_FROM', 'an address, because SMTP_URL is set', null);
  }
  return { problems, warnings };
}

type Problem = (key: string, expected: string, got: string | number | null) => void;
type Warn = (key: string, text: string) => void;

/** Whoever is called from here must be outside of our own network, and must be able to tell that it is us. */
function checkReceivers(values: ConfigValues, problem: Problem): void {
  if (values.eventsUrl !== undefined && values.eventsSecret.length === 0) {
    problem('EVENTS_SECRET', 'a secret, because EVENTS_URL is set and events are signed', null);
  }
  if (values.responderUrl !== undefined && values.responderSecret.length === 0) {
    problem('RESPONDER_SECRET', 'a secret, because RESPONDER_URL is set and questions are signed', null);
  }
  if (values.dangerouslyAllowPrivateEventsUrl) return;
  for (const [name, url] of [
    ['EVENTS_URL', values.eventsUrl],
    ['RESPONDER_URL', values.responderUrl],
  ] as const) {
    const fault = url === undefined ? null : addressFault(url, { allowPrivate: false });
    if (url === undefined || fault === null) continue;
    const { protocol, hostname } = new URL(url);
    const development = 'for development on this machine set DANGEROUSLY_ALLOW_PRIVATE_EVENTS_URL=true';
    // No more of the address than this: its path may be a secret.
    problem(
      name,
      `https: and a host on the public internet, port 443 or 8443 (${development})`,
      `${protocol}//${hostname}`,
    );
  }
}

/** Several servers: one way to name them, and a cache of its own, because a cache speaks to one server. */
function checkManyRedis(values: ConfigValues, isSet: (name: string) => boolean, problem: Problem, warn: Warn): void {
  const given = ['REDIS_CLUSTER_NODES', 'REDIS_SENTINELS'].filter(isSet);
  const [name] = given;
  if (name === undefined) {
    for (const other of ['REDIS_SENTINEL_NAME', 'REDIS_TLS']) {
      if (isSet(other))
        warn(other, `${other} is ignored because neither REDIS_CLUSTER_NODES nor REDIS_SENTINELS is set.`);
    }
    return;
  }
  if (given.length > 1) problem('REDIS_SENTINELS', 'it unset, because REDIS_CLUSTER_NODES is set', '…');
  for (const other of ['REDIS_URL', 'REDIS_HOST', 'REDIS_PORT']) {
    if (isSet(other)) problem(other, `it unset, because ${name} says where the queues are`, '…');
  }
  if (values.cacheRedisUrl === undefined) {
    problem('CACHE_REDIS_URL', `an address, because ${name} is set and caches need one server of their own`, null);
  }
  if (name === 'REDIS_CLUSTER_NODES' && values.shards === 1) {
    warn('SHARDS', 'SHARDS is 1: all messages lie on one master of the cluster. SHARDS=16 spreads the senders.');
  }
}

function checkRedis(values: ConfigValues, isSet: (name: string) => boolean, problem: Problem, warn: Warn): void {
  checkManyRedis(values, isSet, problem, warn);
  if (queueServers(values) !== undefined) return;
  if (values.redisUrl !== undefined) {
    for (const name of ['REDIS_HOST', 'REDIS_PORT', 'REDIS_PASSWORD']) {
      if (isSet(name)) warn(name, `${name} is ignored because REDIS_URL is set.`);
    }
    const path = new URL(values.redisUrl).pathname;
    if (!/^\/?\d{0,4}$/.test(path)) {
      problem('REDIS_URL', 'a database number or nothing after the host: redis://host:6379/1', path);
      return;
    }
  } else if (values.redisHost === undefined) {
    for (const name of ['REDIS_PORT', 'REDIS_PASSWORD']) {
      if (isSet(name)) problem('REDIS_HOST', `a host, because ${name} is set`, null);
    }
  }
  const queue = queueRedis(values);
  if (queue !== undefined && isSet('REDIS_DB') && queue.db === values.redisDb) {
    problem(
      'REDIS_DB',
      'another database than the queues have: emptying a cache must never touch them',
      values.redisDb,
    );
  }
}

/** A sender of the settings needs all of its parts. */
function checkProviders(values: ConfigValues, problem: Problem): void {
  const groups = [
    [
      ['EVOLUTION_SERVER_URL', values.evolutionServerUrl, 'an address'],
      ['EVOLUTION_API_KEY', values.evolutionApiKey, 'a key'],
      ['EVOLUTION_INSTANCE', values.evolutionInstance, "an instance's name"],
    ],
    [
      ['TWILIO_ACCOUNT_SID', values.twilioAccountSid, 'an account SID'],
      ['TWILIO_AUTH_TOKEN', values.twilioAuthToken, 'an auth token'],
      ['TWILIO_FROM', values.twilioFrom, 'a number or a messaging service'],
    ],
  ] as const;
  for (const [server, ...rest] of groups) {
    // The server's address alone is a default for senders that are made through the API.
    const given =
      rest.find(([, value]) => value !== undefined) ?? (server[0].startsWith('TWILIO') ? server : undefined);
    if (given?.[1] === undefined) continue;
    for (const [name, value, words] of [server, ...rest]) {
      if (value === undefined) problem(name, `${words}, because ${given[0]} is set`, null);
    }
  }
}

function checkCloud(values: ConfigValues, problem: Problem, warn: Warn): void {
  const { whatsappPhoneNumberId: id, whatsappAccessToken: token } = values;
  if (id !== undefined && token === undefined) {
    problem('WHATSAPP_ACCESS_TOKEN', 'a token, because WHATSAPP_PHONE_NUMBER_ID is set', null);
  }
  if (id === undefined && token !== undefined) {
    problem('WHATSAPP_PHONE_NUMBER_ID', 'a phone number id, because WHATSAPP_ACCESS_TOKEN is set', null);
  }
  if (id !== undefined && values.whatsappAppSecret === undefined) {
    warn(
      'WHATSAPP_APP_SECRET',
      'WHATSAPP_APP_SECRET is not set: status webhooks are refused, so messages never become delivered or read, and a lost answer cannot be cleared up.',
    );
  }
  const api = new URL(values.whatsappApiUrl);
  if (api.hostname === 'graph.facebook.com' && !/^\/v\d+\.\d+$/.test(api.pathname)) {
    problem('WHATSAPP_API_URL', 'the version in the address: https://graph.facebook.com/v23.0', values.whatsappApiUrl);
  }
  if (api.protocol === 'http:' && !LOCAL_HOSTS.includes(api.hostname)) {
    warn('WHATSAPP_API_URL', 'WHATSAPP_API_URL is not encrypted: the access token crosses the network in the clear.');
  }
}

function checkKeys(values: ConfigValues, problem: Problem, warn: Warn): void {
  checkIdentityProvider(values, problem, warn);
  const short = [
    ['WAXWING_API_KEY', values.waxwingApiKey, 16],
    ['JWT_SECRET', values.jwtSecret, 32],
    ['WAXWING_SECRET_KEY', values.waxwingSecretKey, 32],
  ] as const;
  for (const [name, value, least] of short) {
    if (value !== undefined && value.length < least) {
      warn(
        name,
        `${name} has fewer than ${least} characters and can be guessed; make one with: openssl rand -base64 32`,
      );
    }
  }
}

function checkIdentityProvider(values: ConfigValues, problem: Problem, warn: Warn): void {
  if (values.jwtJwksUrl === undefined) return;
  const { protocol, hostname } = new URL(values.jwtJwksUrl);
  if (protocol === 'http:' && !LOCAL_HOSTS.includes(hostname)) {
    problem(
      'JWT_JWKS_URL',
      'https: whoever can change these keys on their way can sign in as anybody',
      values.jwtJwksUrl,
    );
  }
  for (const [name, value] of [
    ['JWT_AUDIENCE', values.jwtAudience],
    ['JWT_ISSUER', values.jwtIssuer],
  ] as const) {
    if (value !== undefined) continue;
    warn(name, `${name} is not set: a token that the identity provider made for another program is taken, too.`);
  }
}

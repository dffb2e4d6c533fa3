import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/index.ts';
import { settingsSenders } from '../../src/messages/index.ts';

const SID = `AC${'0a'.repeat(16)}`;
const CLOUD = { WHATSAPP_PHONE_NUMBER_ID: '106540352242922', WHATSAPP_ACCESS_TOKEN: 'EAAG' };
const EVOLUTION = {
  EVOLUTION_SERVER_URL: 'http://evolution:8080',
  EVOLUTION_API_KEY: 'key',
  EVOLUTION_INSTANCE: 'salon',
};
const TWILIO = { TWILIO_ACCOUNT_SID: SID, TWILIO_AUTH_TOKEN: 'token', TWILIO_FROM: 'whatsapp:+14155238886' };

function load(env: Record<string, string>) {
  return loadConfig(env, '/nonexistent');
}
function sendersOf(env: Record<string, string>) {
  const loaded = load(env);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return settingsSenders(loaded.config);
}

describe('senders of the settings', () => {
  it('F8 · R7 · each provider makes one when its settings are there', () => {
    expect(sendersOf({})).toEqual([]);
    const senders = sendersOf({ ...CLOUD, ...EVOLUTION, ...TWILIO, EVOLUTION_WEBHOOK_TOKEN: 'word' });
    expect(senders).toMatchObject([
      {
        id: 'default',
        provider: 'cloud',
        apiUrl: 'https://graph.facebook.com/v23.0',
        externalId: '106540352242922',
        ratePerSecond: 80,
        credentials: { accessToken: 'EAAG' },
      },
      {
        id: 'evolution',
        provider: 'evolution',
        apiUrl: 'http://evolution:8080',
        externalId: 'salon',
        channel: 'baileys',
        credentials: { apiKey: 'key', webhookToken: 'word' },
      },
      {
        id: 'twilio',
        provider: 'twilio',
        apiUrl: 'https://api.twilio.com',
        externalId: '+14155238886',
        ratePerSecond: 80,
      },
    ]);
  });

  it('R4 · an Evolution sender starts one message per second, five at once, unless the settings say otherwise', () => {
    expect(sendersOf(EVOLUTION)).toMatchObject([{ ratePerSecond: 1, burst: 5 }]);
    expect(sendersOf({ ...EVOLUTION, WA_TOKENS_PER_SECOND: '0.5', WA_BUCKET_CAPACITY: '2' })).toMatchObject([
      { ratePerSecond: 0.5, burst: 2 },
    ]);
  });

  it.each<[Record<string, string>, string[]]>([
    [{ EVOLUTION_INSTANCE: 'salon' }, ['EVOLUTION_SERVER_URL', 'EVOLUTION_API_KEY']],
    [{ TWILIO_FROM: '+14155238886' }, ['TWILIO_ACCOUNT_SID', 'TWILIO_AUTH_TOKEN']],
    [{ TWILIO_FROM: '4155238886' }, ['TWILIO_FROM']],
    [{ ...TWILIO, TWILIO_ACCOUNT_SID: 'x' }, ['TWILIO_ACCOUNT_SID']],
    [{ PUBLIC_URL: 'wax.example' }, ['PUBLIC_URL']],
  ])('%j is refused at start, with every part that is missing', (env, keys) => {
    const loaded = load(env);
    expect(loaded.ok ? [] : loaded.problems.map(({ key }) => key)).toEqual(keys);
  });

  it("the server's address alone is a default for senders that are made through the API", () => {
    expect(sendersOf({ EVOLUTION_SERVER_URL: 'http://evolution:8080' })).toEqual([]);
  });
});

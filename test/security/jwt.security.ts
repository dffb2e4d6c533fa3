import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, SignJWT, UnsecuredJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createJwtCheck, type JwtCheck } from '../../src/http/auth/jwt.ts';

const SECRET = 'jwt-secret-of-these-tests-32-characters';
const AUDIENCE = 'waxwing';
const ISSUER = 'https://idp.example';
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' }) as string;

let server: Server;
let asked = 0;
let isAway = false;
let check: JwtCheck;
beforeAll(async () => {
  const keys = [
    { ...(await exportJWK(rsa.publicKey)), kid: 'rsa', alg: 'RS256', use: 'sig' },
    { ...(await exportJWK(ec.publicKey)), kid: 'ec', alg: 'ES256', use: 'sig' },
  ];
  server = createServer((_request, response) => {
    asked += 1;
    if (isAway) response.writeHead(503).end('away');
    else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ keys }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  check = newCheck();
});
afterAll(() => new Promise((resolve) => server.close(resolve)));

const newCheck = () =>
  createJwtCheck({
    secret: SECRET,
    audience: AUDIENCE,
    issuer: ISSUER,
    jwksUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`,
  });

const seconds = (delta: number) => Math.floor(Date.now() / 1000) + delta;
const good = { role: 'admin', sub: 'x', aud: AUDIENCE, iss: ISSUER, exp: seconds(600) };
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const hmac = (input: string, secret: string | Buffer = SECRET, hash = 'sha256') =>
  createHmac(hash, secret).update(input).digest('base64url');
const byHand = (header: unknown, payload: unknown = good, secret: string | Buffer = SECRET) => {
  const input = `${part(header)}.${part(payload)}`;
  return `${input}.${hmac(input, secret)}`;
};
const signed = (alg: string, kid: string | undefined, key: KeyObject, claims: object = good, more: object = {}) =>
  new SignJWT({ ...claims }).setProtectedHeader({ alg, ...(kid === undefined ? {} : { kid }), ...more }).sign(key);

type Forged = readonly [what: string, make: () => string | Promise<string>];

/** A JWT is its three parts; what is between the dots can be cut, swapped and bent in these ways. */
function bent(token: string, whose: string): Forged[] {
  const [header = '', payload = '', signature = ''] = token.split('.');
  const flip = (text: string, at: number) => text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1);
  const changed = part({ ...good, role: 'admin', sub: 'somebody else' });
  return [
    [`${whose}: no signature`, () => `${header}.${payload}.`],
    [`${whose}: two parts`, () => `${header}.${payload}`],
    [`${whose}: four parts`, () => `${token}.${signature}`],
    [`${whose}: another payload`, () => `${header}.${changed}.${signature}`],
    [`${whose}: header alg none, signature kept`, () => `${part({ alg: 'none' })}.${payload}.${signature}`],
    [`${whose}: header alg HS256, signature kept`, () => `${part({ alg: 'HS256' })}.${payload}.${signature}`],
    [`${whose}: a bit of the header`, () => `${flip(header, 5)}.${payload}.${signature}`],
    [`${whose}: a bit of the payload`, () => `${header}.${flip(payload, 9)}.${signature}`],
    [`${whose}: a bit of the signature`, () => `${header}.${payload}.${flip(signature, 7)}`],
    [`${whose}: a shorter signature`, () => `${header}.${payload}.${signature.slice(0, -4)}`],
    [`${whose}: signature and payload swapped`, () => `${header}.${signature}.${payload}`],
    [`${whose}: padding`, () => `${header}=.${payload}=.${signature}=`],
  ];
}

const CLAIMS: [string, object][] = [
  ['expired', { ...good, exp: seconds(-60) }],
  ['not yet valid', { ...good, nbf: seconds(600) }],
  ['exp is a text', { ...good, exp: 'never' }],
  ['nbf is a text', { ...good, nbf: 'always' }],
  ['another audience', { ...good, aud: 'another' }],
  ['no audience', { ...good, aud: undefined }],
  ['another issuer', { ...good, iss: 'https://evil.example' }],
  ['issuer with a slash more', { ...good, iss: `${ISSUER}/` }],
  ['no issuer', { ...good, iss: undefined }],
];

async function corpus(): Promise<Forged[]> {
  const own = byHand({ alg: 'HS256', typ: 'JWT' });
  const rs = await signed('RS256', 'rsa', rsa.privateKey);
  const es = await signed('ES256', 'ec', ec.privateKey);
  return [
    ...['none', 'None', 'NONE', 'nOnE', '', ' none', 'HS256 ', 'hs256', 'HS1', 'RS256\u0000'].map((alg): Forged => [
      `alg ${JSON.stringify(alg)}`,
      () => `${part({ alg })}.${part(good)}.`,
    ]),
    ...['none', 'hs256', 'HS257', 'RS256', 'ES256', 'EdDSA', 'PS256'].map((alg): Forged => [
      `alg ${alg} over a good HMAC`,
      () => byHand({ alg }),
    ]),
    ['unsecured', () => new UnsecuredJWT(good).encode()],
    ...bent(own, 'own'),
    ...bent(rs, 'RS256'),
    ...bent(es, 'ES256'),
    ...CLAIMS.flatMap(([what, claims]): Forged[] => [
      [`own, ${what}`, () => byHand({ alg: 'HS256' }, claims)],
      [`RS256, ${what}`, () => signed('RS256', 'rsa', rsa.privateKey, claims)],
    ]),
    // The public key as a secret, in the forms in which people have it.
    ...[pem, pem.trim(), pem.replaceAll('\n', ''), rsa.publicKey.export({ type: 'spki', format: 'der' })].map(
      (secret, index): Forged => [
        `HS256 with the public key, form ${index}`,
        () => byHand({ alg: 'HS256', kid: 'rsa' }, good, secret),
      ],
    ),
    ['RS256 by a stranger', () => signed('RS256', undefined, stranger.privateKey)],
    ['RS256 by a stranger under a known kid', () => signed('RS256', 'rsa', stranger.privateKey)],
    ['RS256 under the kid of the other key', () => signed('RS256', 'ec', rsa.privateKey)],
    ['RS384 by a good key', () => signed('RS384', 'rsa', rsa.privateKey)],
    ['RS512 by a good key', () => signed('RS512', 'rsa', rsa.privateKey)],
    ['PS256 by a good key', () => signed('PS256', 'rsa', rsa.privateKey)],
    ['HS384 with the secret', () => signedWithSecret('HS384')],
    ['HS512 with the secret', () => signedWithSecret('HS512')],
    [
      'its own key in the header',
      async () => signed('RS256', undefined, stranger.privateKey, good, { jwk: await exportJWK(stranger.publicKey) }),
    ],
    [
      'an address of keys in the header',
      () => signed('RS256', 'x', stranger.privateKey, good, { jku: 'http://127.0.0.1:1/keys' }),
    ],
    [
      'an address of certificates in the header',
      () => signed('RS256', 'x', stranger.privateKey, good, { x5u: 'http://127.0.0.1:1/' }),
    ],
    ['a certificate in the header', () => signed('RS256', 'x', stranger.privateKey, good, { x5c: ['AAAA'] })],
    ...['../../../../dev/null', "' or '1'='1", 'rsa\u0000', '__proto__', 'constructor', '', 'RSA'].map(
      (kid): Forged => [`kid ${JSON.stringify(kid)}`, () => byHand({ alg: 'HS256', kid }, good, kid)],
    ),
    ['an empty secret', () => byHand({ alg: 'HS256' }, good, '')],
    ['crit', () => byHand({ alg: 'HS256', crit: ['exp2'], exp2: 1 })],
    ['b64 false', () => byHand({ alg: 'HS256', crit: ['b64'], b64: false })],
    ['the type of a session', () => byHand({ alg: 'HS256', typ: 'waxwing-session+jwt' })],
    ['the type of an identity token of ours', () => byHand({ alg: 'HS256', typ: 'at+jwt' })],
    ['the type of a logout token', () => signed('RS256', 'rsa', rsa.privateKey, good, { typ: 'logout+jwt' })],
    ['a payload that is a list', () => byHand({ alg: 'HS256' }, [good])],
    ['a payload that is null', () => byHand({ alg: 'HS256' }, null)],
    ['a header that is a list', () => byHand([{ alg: 'HS256' }])],
    ...['', '.', '..', '...', 'a.b.c', 'a.b.c.d.e', '\u0000', ' '.repeat(10)].map((text): Forged => [
      JSON.stringify(text),
      () => text,
    ]),
  ];
}
const signedWithSecret = (alg: string) =>
  new SignJWT({ ...good }).setProtectedHeader({ alg }).sign(new TextEncoder().encode(SECRET.repeat(2)));

describe('F46 · JWT', () => {
  test('none of the forged tokens is taken', async () => {
    const taken: string[] = [];
    const all = await corpus();
    for (const [what, make] of all) {
      const { kind } = await check(await make());
      if (kind !== 'invalid') taken.push(what);
    }
    console.log(`F46: forged tokens accepted ${taken.length} of ${all.length}`);
    expect(taken).toEqual([]);
    expect(all.length).toBeGreaterThanOrEqual(40);
    expect(new Set(all.map(([what]) => what)).size).toBe(all.length);
  });

  test('good ones of every source are taken, and the provider is asked once for all of them', async () => {
    const fresh = newCheck();
    const before = asked;
    for (const token of [
      await signed('RS256', 'rsa', rsa.privateKey),
      await signed('RS256', 'rsa', rsa.privateKey, good, { typ: 'at+jwt' }),
      await signed('ES256', 'ec', ec.privateKey),
      await signed('ES256', undefined, ec.privateKey),
      byHand({ alg: 'HS256' }),
      byHand({ alg: 'HS256', typ: 'JWT' }, { ...good, aud: ['other', AUDIENCE] }),
    ]) {
      expect(await fresh(token)).toMatchObject({ kind: 'person', person: { role: 'admin', name: 'x' } });
    }
    expect(asked - before).toBe(1);
  });

  test('a good token without a role is told apart, so that the answer can say what is missing', async () => {
    expect((await check(await signed('RS256', 'rsa', rsa.privateKey, { ...good, role: 'root' }))).kind).toBe('no-role');
  });

  test('while the provider is away its tokens are put off, not refused, and our own work', async () => {
    const known = newCheck();
    await known(await signed('RS256', 'rsa', rsa.privateKey));
    isAway = true;
    try {
      expect((await known(await signed('RS256', 'rsa', rsa.privateKey))).kind).toBe('person');
      const fresh = newCheck();
      await expect(fresh(await signed('RS256', 'rsa', rsa.privateKey))).rejects.toMatchObject({
        code: 'SIGN_IN_UNAVAILABLE',
      });
      expect((await fresh(byHand({ alg: 'HS256' }))).kind).toBe('person');
    } finally {
      isAway = false;
    }
  });
});

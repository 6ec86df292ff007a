import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { StartError } from '#kernel';
import t from 'tap';
import { keysFromSettings } from './token-keys.ts';

function pem(key: KeyObject, type: 'pkcs1' | 'pkcs8' = 'pkcs8'): string {
  return key.export({ type: key.type === 'public' ? 'spki' : type, format: 'pem' }) as string;
}

function rsa(modulusLength = 2_048, type?: 'pkcs1'): { privateKey: string; publicKey: string } {
  const pair = generateKeyPairSync('rsa', { modulusLength });
  return { privateKey: pem(pair.privateKey, type), publicKey: pem(pair.publicKey) };
}

const current = rsa();
const previous = rsa(2_048, 'pkcs1');
const NODE_ENV = 'production';

/** RFC 7638 written out once more, from the published members alone. */
function thumbprintOf(publicKey: string): string {
  const { e, n } = createPublicKey(publicKey).export({ format: 'jwk' });
  return createHash('sha256').update(`{"e":"${e}","kty":"RSA","n":"${n}"}`).digest('base64url');
}

t.test('the first key signs, both are published', async (t) => {
  const { signing, keySet } = keysFromSettings({ NODE_ENV, JWT_PRIVATE_KEY: current.privateKey, JWT_PREVIOUS_KEY: previous.privateKey })!;
  t.equal(signing.kid, thumbprintOf(current.publicKey));
  t.same(keySet.keys.map(({ kid }) => kid), [thumbprintOf(current.publicKey), thumbprintOf(previous.publicKey)]);
  for (const key of keySet.keys) {
    t.match(key, { kty: 'RSA', use: 'sig', alg: 'RS256' });
    t.same(Object.keys(key).sort(), ['alg', 'e', 'kid', 'kty', 'n', 'use'], 'nothing of the private half');
  }
});

t.test('a key may come on one line, as PKCS #1, and the previous one without its private half', async (t) => {
  const oneLine = previous.privateKey.replaceAll('\n', '\\n');
  const { signing, keySet } = keysFromSettings({ NODE_ENV, JWT_PRIVATE_KEY: oneLine, JWT_PREVIOUS_KEY: current.publicKey })!;
  t.equal(signing.kid, thumbprintOf(previous.publicKey));
  t.equal(keySet.keys[1]!.kid, thumbprintOf(current.publicKey));
});

t.test('the same key twice is one key', async (t) => {
  t.equal(keysFromSettings({ NODE_ENV, JWT_PRIVATE_KEY: current.privateKey, JWT_PREVIOUS_KEY: current.publicKey })!.keySet.keys.length, 1);
});

t.test('a bad key is one clear sentence that does not quote it', async (t) => {
  const curve = pem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
  const locked = createPrivateKey(current.privateKey).export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }) as string;
  const cases: [string, RegExp][] = [
    ['not a key', /^JWT_PRIVATE_KEY cannot be read: it must be an RSA private key in PEM form, not encrypted$/],
    [current.publicKey, /cannot be read/],
    [locked, /cannot be read/],
    [rsa(1_024).privateKey, /^JWT_PRIVATE_KEY has 1024 bits; at least 2048 are needed$/],
    [curve, /^JWT_PRIVATE_KEY is a key of type ec, but tokens are signed with RSA$/],
  ];
  for (const [key, sentence] of cases) {
    const error = startErrorOf(() => keysFromSettings({ NODE_ENV, JWT_PRIVATE_KEY: key }));
    t.match(error.message, sentence);
    t.match(error.remedy, /openssl genpkey/);
    t.notMatch(`${error.message}${error.remedy}`, key.slice(30, 60) || key);
  }
  t.match(startErrorOf(() => keysFromSettings({ NODE_ENV, JWT_PRIVATE_KEY: current.privateKey, JWT_PREVIOUS_KEY: 'x' })).message, /^JWT_PREVIOUS_KEY cannot be read/);
});

t.test('without a key one is made up in development and refused in production', async (t) => {
  t.equal(keysFromSettings({ NODE_ENV: 'development' }), undefined);
  t.match(startErrorOf(() => keysFromSettings({ NODE_ENV })).message, /^JWT_PRIVATE_KEY is not set, and in production no key is made up$/);
  t.match(startErrorOf(() => keysFromSettings({ NODE_ENV: 'development', JWT_PREVIOUS_KEY: current.publicKey })).message, /without JWT_PRIVATE_KEY/);
});

function startErrorOf(action: () => unknown): StartError {
  try {
    action();
  } catch (error) {
    if (error instanceof StartError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import t from 'tap';
import { keyContradictions, keysFromSettings, privateKeyProblem, publicKeyProblem } from './token-keys.ts';

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
    ['not a key', /^cannot be read: it must be an RSA private key in PEM form, not encrypted/],
    [current.publicKey, /^cannot be read/],
    [locked, /^cannot be read/],
    [rsa(1_024).privateKey, /^has 1024 bits; at least 2048 are needed;/],
    [curve, /^is a key of type ec, but tokens are signed with RSA;/],
  ];
  for (const [key, words] of cases) {
    const problem = privateKeyProblem(key)!;
    t.match(problem, words);
    t.match(problem, /openssl genpkey/);
    t.notMatch(problem, key.slice(30, 60) || key);
  }
  t.match(publicKeyProblem('x'), /^cannot be read/);
  t.equal(publicKeyProblem(current.publicKey), undefined);
  t.equal(privateKeyProblem(current.privateKey), undefined);
});

t.test('without a key one is made up in development and refused in production', async (t) => {
  t.equal(keysFromSettings({ NODE_ENV: 'development' }), undefined);
  t.strictSame(keyContradictions({ NODE_ENV: 'development' }), []);
  t.match(keyContradictions({ NODE_ENV }), [/^JWT_PRIVATE_KEY is not set, and in production no key is made up/]);
  t.match(keyContradictions({ NODE_ENV: 'development', JWT_PREVIOUS_KEY: current.publicKey }), [/^JWT_PREVIOUS_KEY is set without JWT_PRIVATE_KEY/]);
  t.strictSame(keyContradictions({ NODE_ENV, JWT_PRIVATE_KEY: current.privateKey }), []);
});

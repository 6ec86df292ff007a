/** The RSA keys of access tokens: read from settings, named by their thumbprints, published as a key set. */
import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { TOKEN_ALGORITHM } from '#kernel';
import type { Static } from '@sinclair/typebox';
import type { KeySet } from './contract.ts';

export interface SigningKey {
  readonly kid: string;
  /** PKCS #8. */
  readonly privatePem: string;
}

export interface TokenKeys {
  readonly signing: SigningKey;
  /** Public halves of all keys whose tokens are accepted; the one that signs comes first. */
  readonly keySet: Static<typeof KeySet>;
}

interface KeySettings {
  readonly NODE_ENV: string;
  readonly JWT_PRIVATE_KEY?: string | undefined;
  readonly JWT_PREVIOUS_KEY?: string | undefined;
}

const MIN_BITS = 2_048;

const howToMakeOne = 'make one with: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048';

/** The keys that the settings name, or undefined where none is named and one may be made. */
export function keysFromSettings({ JWT_PRIVATE_KEY: current, JWT_PREVIOUS_KEY: previous }: KeySettings): TokenKeys | undefined {
  if (current === undefined) return undefined;
  return tokenKeys(readPrivateKey(current), previous === undefined ? [] : [readPublicKey(previous)]);
}

/** What is wrong with a private key, in words that follow the setting's name and never quote it; undefined when nothing is. */
export function privateKeyProblem(pem: string): string | undefined {
  return keyProblem('an RSA private key', () => readPrivateKey(pem));
}

/** The same for a key whose tokens are accepted. A private key will do too: it holds the public one. */
export function publicKeyProblem(pem: string): string | undefined {
  return keyProblem('an RSA key', () => readPublicKey(pem));
}

/** Sentences about keys that are good alone, but not as they are set. */
export function keyContradictions({ NODE_ENV, JWT_PRIVATE_KEY, JWT_PREVIOUS_KEY }: KeySettings): string[] {
  if (JWT_PRIVATE_KEY !== undefined) return [];
  if (JWT_PREVIOUS_KEY !== undefined) return ['JWT_PREVIOUS_KEY is set without JWT_PRIVATE_KEY: set that to the key that signs, or take this one away.'];
  if (NODE_ENV !== 'production') return [];
  return [`JWT_PRIVATE_KEY is not set, and in production no key is made up: it must be an RSA private key of at least ${MIN_BITS} bits in PEM form; ${howToMakeOne}.`];
}

/** @param others public keys that are accepted beside the signing one */
export function tokenKeys(privateKey: KeyObject, others: readonly KeyObject[] = []): TokenKeys {
  const publicKey = createPublicKey(privateKey);
  const keys = [publicKey, ...others.filter((other) => !other.equals(publicKey))].map(jsonWebKey);
  return {
    signing: {
      kid: keys[0]!.kid,
      privatePem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    },
    keySet: { keys },
  };
}

function readPrivateKey(pem: string): KeyObject {
  return createPrivateKey(withLineEnds(pem));
}

function readPublicKey(pem: string): KeyObject {
  return createPublicKey(withLineEnds(pem));
}

/** What the parser complains about is not repeated: it may quote the key. */
function keyProblem(expected: string, read: () => KeyObject): string | undefined {
  try {
    const key = read();
    const problem = weakness(key);
    return problem && `${problem}; ${howToMakeOne}`;
  } catch {
    return `cannot be read: it must be ${expected} in PEM form, not encrypted, where line ends may be written as \\n; ${howToMakeOne}`;
  }
}

function weakness(key: KeyObject): string | undefined {
  const type = key.asymmetricKeyType;
  if (type !== 'rsa') return `is a key of type ${type}, but tokens are signed with RSA`;
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  return bits < MIN_BITS ? `has ${bits} bits; at least ${MIN_BITS} are needed` : undefined;
}

/** Environment files hold a PEM on one line, with `\n` spelled out. */
function withLineEnds(pem: string): string {
  return pem.replaceAll('\\n', '\n');
}

function jsonWebKey(publicKey: KeyObject): TokenKeys['keySet']['keys'][number] {
  const { n = '', e = '' } = publicKey.export({ format: 'jwk' });
  return { kty: 'RSA', kid: thumbprint(n, e), use: 'sig', alg: TOKEN_ALGORITHM, n, e };
}

/** RFC 7638: the hash of the required members in alphabetical order, without white space. */
function thumbprint(n: string, e: string): string {
  return createHash('sha256').update(JSON.stringify({ e, kty: 'RSA', n })).digest('base64url');
}

/** The RSA keys of access tokens: read from settings, named by their thumbprints, published as a key set. */
import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { StartError, TOKEN_ALGORITHM } from '#kernel';
import type { Static } from '@sinclair/typebox';
import type { KeySet } from './contract.ts';

export interface SigningKey {
  readonly kid: string;
  /** PKCS #8. */
  readonly privatePem: string;
  readonly publicPem: string;
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

const howToMakeOne = 'Make one with: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048';

/**
 * The keys that the settings name, or undefined where none is named and one may be made.
 * @throws StartError for a key that cannot be used, and for none in production
 */
export function keysFromSettings(settings: KeySettings): TokenKeys | undefined {
  const { JWT_PRIVATE_KEY: current, JWT_PREVIOUS_KEY: previous } = settings;
  if (current === undefined) return refuseIncomplete(settings);
  const others = previous === undefined ? [] : [readPublicKey('JWT_PREVIOUS_KEY', previous)];
  return tokenKeys(readPrivateKey('JWT_PRIVATE_KEY', current), others);
}

function refuseIncomplete(settings: KeySettings): undefined {
  if (settings.JWT_PREVIOUS_KEY !== undefined) {
    const remedy = 'Set JWT_PRIVATE_KEY to the key that signs, or take JWT_PREVIOUS_KEY away.';
    throw new StartError('JWT_PREVIOUS_KEY is set without JWT_PRIVATE_KEY', remedy);
  }
  if (settings.NODE_ENV === 'production') {
    throw new StartError(
      'JWT_PRIVATE_KEY is not set, and in production no key is made up',
      `Set it to an RSA private key of at least ${MIN_BITS} bits in PEM form. ${howToMakeOne}`,
    );
  }
}

/** @param others public keys that are accepted beside the signing one */
export function tokenKeys(privateKey: KeyObject, others: readonly KeyObject[] = []): TokenKeys {
  const publicKey = createPublicKey(privateKey);
  const keys = [publicKey, ...others.filter((other) => !other.equals(publicKey))].map(jsonWebKey);
  return {
    signing: {
      kid: keys[0]!.kid,
      privatePem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
      publicPem: publicKey.export({ type: 'spki', format: 'pem' }) as string,
    },
    keySet: { keys },
  };
}

function readPrivateKey(name: string, pem: string): KeyObject {
  return requireStrongRsa(name, parse(name, 'an RSA private key', () => createPrivateKey(withLineEnds(pem))));
}

/** A private key will do too: it holds the public one. */
function readPublicKey(name: string, pem: string): KeyObject {
  return requireStrongRsa(name, parse(name, 'an RSA key', () => createPublicKey(withLineEnds(pem))));
}

/** What the parser complains about is not repeated: it may quote the key. */
function parse(name: string, expected: string, read: () => KeyObject): KeyObject {
  try {
    return read();
  } catch {
    const remedy = `Line ends may be written as \\n. ${howToMakeOne}`;
    throw new StartError(`${name} cannot be read: it must be ${expected} in PEM form, not encrypted`, remedy);
  }
}

function requireStrongRsa(name: string, key: KeyObject): KeyObject {
  const type = key.asymmetricKeyType;
  if (type !== 'rsa') throw new StartError(`${name} is a key of type ${type}, but tokens are signed with RSA`, howToMakeOne);
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits < MIN_BITS) throw new StartError(`${name} has ${bits} bits; at least ${MIN_BITS} are needed`, howToMakeOne);
  return key;
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

/** Tokens for a service whose users are stand-ins: signed with a key that is made at the start, and gone with the process. */
import { createPublicKey, generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import { createSigner } from 'fast-jwt';
import type { Role } from '../../src/calls/call.ts';
import { type KeySet, MIN_RSA_BITS, TOKEN_ALGORITHM, TOKEN_AUDIENCE, TOKEN_ISSUER, TOKEN_TYPE } from '../../src/http/token-claims.ts';
import type { Prepared } from './stub-peers.ts';

export interface StubTokens {
  readonly keySet: KeySet;
  /** Who the tokens are for, by role. */
  readonly users: Readonly<Record<'customer' | 'admin', string>>;
  /** @returns a token that is good for a working day */
  sign(role: 'customer' | 'admin'): string;
}

const KEY_ID = 'stub';
const LIFETIME_MS = 12 * 3_600_000;
const USERS = { customer: '01980000-0000-7000-8000-00000000c057', admin: '01980000-0000-7000-8000-00000000ad31' } as const;

export async function stubTokens(): Promise<StubTokens> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: MIN_RSA_BITS });
  const { n = '', e = '' } = createPublicKey(privateKey).export({ format: 'jwk' });
  const sign = createSigner({
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    algorithm: TOKEN_ALGORITHM,
    iss: TOKEN_ISSUER,
    aud: TOKEN_AUDIENCE,
    expiresIn: LIFETIME_MS,
    header: { alg: TOKEN_ALGORITHM, typ: TOKEN_TYPE, kid: KEY_ID },
  });
  return {
    keySet: { keys: [{ kty: 'RSA', kid: KEY_ID, use: 'sig', alg: TOKEN_ALGORITHM, n, e }] },
    users: USERS,
    sign: (role: Role & keyof typeof USERS) => sign({ sub: USERS[role], role }),
  };
}

/** What the module that signs tokens answers: by convention it is the one with these operations. */
export function preparedFor({ keySet }: StubTokens): Prepared {
  return { getTokenKeys: () => keySet, getWithdrawnTokens: () => ({ withdrawn: [], next: '', more: false }) };
}

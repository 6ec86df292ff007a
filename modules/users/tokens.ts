/** Access tokens: signed here, beside the event loop, and checked by the HTTP platform with the published keys. */
import { importPKCS8, SignJWT } from 'jose';
import { TOKEN_ALGORITHM, TOKEN_AUDIENCE, TOKEN_ISSUER, TOKEN_TYPE, uuidv7 } from '#kernel';
import type { Account } from './account.ts';
import type { SigningKey } from './token-keys.ts';

/** What a token says of the account that it is for. */
export type TokenOwner = Pick<Account, 'id' | 'role' | 'tokenGeneration'>;

/** Signs a token for an account. An RSA signature takes most of a millisecond, in a thread of Node's pool. */
export type IssueToken = (owner: TokenOwner) => Promise<string>;

/** @param ttlSeconds how long a token is good for */
export async function tokenIssuer({ privatePem, kid }: SigningKey, ttlSeconds: number): Promise<IssueToken> {
  const key = await importPKCS8(privatePem, TOKEN_ALGORITHM);
  return async ({ id, role, tokenGeneration }) => {
    const issuedAt = Math.floor(Date.now() / 1_000);
    return new SignJWT({ role, gen: tokenGeneration })
      .setProtectedHeader({ alg: TOKEN_ALGORITHM, typ: TOKEN_TYPE, kid })
      .setIssuer(TOKEN_ISSUER)
      .setAudience(TOKEN_AUDIENCE)
      .setSubject(id)
      .setJti(uuidv7())
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + ttlSeconds)
      .sign(key);
  };
}

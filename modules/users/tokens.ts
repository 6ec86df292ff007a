/** Access tokens: signed by @fastify/jwt, checked by the HTTP platform with the published keys. */
import fastifyJwt from '@fastify/jwt';
import { type RouteApp, TOKEN_ALGORITHM, TOKEN_AUDIENCE, TOKEN_ISSUER, TOKEN_TYPE, uuidv7 } from '#kernel';
import type { Account } from './account.ts';
import type { SigningKey } from './token-keys.ts';

/** What a token says of the account that it is for. */
export type TokenOwner = Pick<Account, 'id' | 'role' | 'tokenGeneration'>;

/** Signs a token for an account; takes under a millisecond. */
export type IssueToken = (owner: TokenOwner) => string;

interface Signer {
  sign(claims: { readonly sub: string; readonly role: string; readonly gen: number; readonly jti: string }): string;
}

const NAMESPACE = 'users';

/** Registers the signer under a namespace of its own: others may have registered one to check tokens. */
export async function registerSigner(app: RouteApp, key: SigningKey, expiresIn: number): Promise<IssueToken> {
  await app.register(fastifyJwt, {
    namespace: NAMESPACE,
    secret: { private: key.privatePem, public: key.publicPem },
    sign: {
      algorithm: TOKEN_ALGORITHM,
      iss: TOKEN_ISSUER,
      aud: TOKEN_AUDIENCE,
      expiresIn,
      header: { alg: TOKEN_ALGORITHM, typ: TOKEN_TYPE, kid: key.kid },
    },
  });
  const signer = (app.jwt as unknown as Record<string, Signer>)[NAMESPACE]!;
  return ({ id, role, tokenGeneration }) => signer.sign({ sub: id, role, gen: tokenGeneration, jti: uuidv7() });
}

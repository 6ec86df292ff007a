/**
 * What an access token says (RFC 9068 profile of RFC 7519). The module that signs tokens and the door that
 * verifies them agree on exactly this: signed with RS256, `typ` as below, the key named by `kid`, and the
 * claims of `TokenClaims`, times in seconds since the epoch.
 */
import type { Role } from '../calls/call.ts';

export const TOKEN_ALGORITHM = 'RS256';
export const TOKEN_TYPE = 'at+jwt';
export const TOKEN_ISSUER = 'cleave';
export const TOKEN_AUDIENCE = 'cleave-api';

/** Signed with fewer bits than this a token is not trusted (RFC 7518, section 3.3). */
export const MIN_RSA_BITS = 2048;

export interface TokenClaims {
  readonly iss: typeof TOKEN_ISSUER;
  readonly aud: typeof TOKEN_AUDIENCE;
  /** The user's id. */
  readonly sub: string;
  readonly role: Role;
  /** How often the user's tokens had been withdrawn when this one was signed; absent means never. */
  readonly gen?: number;
  readonly iat: number;
  readonly exp: number;
}

/** The public half of a signing key (RFC 7517). */
export interface TokenKey {
  readonly kty: string;
  readonly kid: string;
  readonly use: string;
  readonly alg: string;
  readonly n: string;
  readonly e: string;
}

/** A JWKS document. Keys that are rotated in stand beside those that are rotated out. */
export interface KeySet {
  readonly keys: readonly TokenKey[];
}

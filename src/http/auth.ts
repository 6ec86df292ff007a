/** Who asks: verifies bearer tokens (see token-claims.ts) and checks roles. */
import jwt from '@fastify/jwt';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { Role } from '../calls/call.ts';
import { CallError } from '../contract/errors.ts';
import type { Access } from './route.ts';
import { type KeySet, TOKEN_ALGORITHM, TOKEN_AUDIENCE, TOKEN_ISSUER, TOKEN_TYPE, type TokenClaims } from './token-claims.ts';
import { TokenKeys } from './token-keys.ts';
import { type Bearer, TokenMemory } from './token-memory.ts';
import { type AskForWithdrawals, WithdrawnTokens } from './withdrawn-tokens.ts';

declare module '@fastify/jwt' {
  interface FastifyJWT {
    payload: TokenClaims;
    user: TokenClaims;
  }
}

export const roles: readonly Role[] = ['customer', 'support', 'admin'];

/** Calls back at once where it can: a hook that awaits costs every request a turn of the microtask queue. */
export type Admit = (request: FastifyRequest, done: (error?: Error) => void) => void;

/** Turns what a route says about its callers into the check that runs before anything else. */
export type Admission = (access: Access) => Admit;

const MAX_TOKEN_LENGTH = 4_096;
const REMEMBERED_TOKENS = 10_000;

/** Headers by which a token would bring its own key. None is ever looked at, and none is tolerated. */
const KEY_BEARING_HEADERS = ['jku', 'jwk', 'x5u', 'x5c'];

/** What the door asks the module that signs. */
export interface TokenIssuer {
  /** Public keys of tokens: asked for at the first token, for unknown kids, and every five minutes. */
  keys(): Promise<KeySet>;
  /** Whose older tokens are withdrawn: asked for every second in which a token comes. */
  readonly withdrawals: AskForWithdrawals;
}

/** What judges a token: what has been verified, and what has been withdrawn since. */
interface Judges {
  readonly memory: TokenMemory;
  readonly keys: TokenKeys;
  readonly withdrawn: WithdrawnTokens;
}

/** Installs token verification in the app. */
export async function createAdmission(app: FastifyInstance, issuer: TokenIssuer, log: Logger): Promise<Admission> {
  const memory = new TokenMemory(REMEMBERED_TOKENS);
  const keys = new TokenKeys({ ask: async () => issuer.keys(), log, withdrawn: () => memory.forgetAll() });
  const withdrawn = new WithdrawnTokens(issuer.withdrawals, log);
  await app.register(jwt, {
    secret: { public: (_request: FastifyRequest, token: unknown) => keyOf(token as { header: TokenHeader }, keys) },
    decode: { complete: true },
    decoratorName: 'tokenClaims',
    verify: {
      algorithms: [TOKEN_ALGORITHM],
      allowedIss: TOKEN_ISSUER,
      allowedAud: TOKEN_AUDIENCE,
      checkTyp: TOKEN_TYPE,
      requiredClaims: ['iss', 'aud', 'sub', 'role', 'iat', 'exp'],
    },
  });
  const authenticate = authentication({ memory, keys, withdrawn });
  return (access) => {
    if (access === 'anyone') return (_request, done) => done();
    if (access === 'optional') return (request, done) => (hasToken(request) ? authenticate(request, done) : done());
    return (request, done) => authenticate(request, (error) => done(error ?? roleError(request, access)));
  };
}

function hasToken(request: FastifyRequest): boolean {
  return request.headers.authorization !== undefined;
}

function authentication(judges: Judges): Admit {
  const { memory, keys } = judges;
  return (request, done) => {
    const token = bearerToken(request.headers.authorization);
    if (token === undefined) return done(unauthenticated('send a token as "Authorization: Bearer <token>"'));
    const bearer = memory.recall(token);
    if (bearer === undefined) return verify(request, token, judges, done);
    keys.refresh();
    admit(request, bearer, judges, done);
  };
}

function verify(request: FastifyRequest, token: string, judges: Judges, done: (error?: Error) => void): void {
  request.jwtVerify(undefined as never, (error: Error | null, claims: unknown) => {
    if (error) return done(refusal(error));
    const { sub, role, gen = 0, exp } = claims as TokenClaims;
    const named = typeof sub === 'string' && sub !== '' && roles.includes(role) && Number.isSafeInteger(gen);
    if (!named) return done(unauthenticated('the token names no user or no known role'));
    const bearer: Bearer = { actor: Object.freeze({ id: sub, role }), generation: gen };
    judges.memory.remember(token, bearer, exp * 1_000);
    admit(request, bearer, judges, done);
  });
}

function admit(request: FastifyRequest, { actor, generation }: Bearer, { withdrawn }: Judges, done: (error?: Error) => void): void {
  const judge = () => {
    if (withdrawn.includes(actor.id, generation)) return done(unauthenticated('the token is withdrawn: the role or the password was changed; sign in again'));
    request.actor = actor;
    done();
  };
  const wait = withdrawn.refresh();
  if (wait === undefined) judge();
  else wait.then(judge, done);
}

/** The token, where the header is of the scheme Bearer (RFC 6750; schemes are case-insensitive). */
function bearerToken(header: string | undefined): string | undefined {
  if (header === undefined || header.length > MAX_TOKEN_LENGTH) return undefined;
  return header.slice(0, 7).toLowerCase() === 'bearer ' ? header.slice(7) : undefined;
}

interface TokenHeader {
  readonly alg?: unknown;
  readonly kid?: unknown;
  readonly [name: string]: unknown;
}

/** Chooses the key by `kid` alone; runs before the signature is verified, so nothing of the token counts yet. */
async function keyOf(token: { header: TokenHeader }, keys: TokenKeys): Promise<string> {
  const { header } = token;
  if (header.alg !== TOKEN_ALGORITHM) throw unauthenticated(`the token is not signed with ${TOKEN_ALGORITHM}`);
  if (KEY_BEARING_HEADERS.some((name) => name in header)) throw unauthenticated('the token brings a key of its own');
  if (typeof header.kid !== 'string') throw unauthenticated('the token names no key');
  const pem = await keys.pem(header.kid);
  if (pem === undefined) throw unauthenticated('the token is signed with an unknown key');
  return pem;
}

function roleError(request: FastifyRequest, access: readonly Role[]): CallError | undefined {
  if (access.includes(request.actor!.role)) return undefined;
  return new CallError('FORBIDDEN', `the role ${request.actor!.role} may not do this; it takes ${access.join(' or ')}`);
}

/** Failing to check a token is our failure; whatever else is wrong is the token's. */
function refusal(error: Error): Error {
  if (error instanceof CallError) return error;
  const expired = (error as { code?: unknown }).code === 'FST_JWT_AUTHORIZATION_TOKEN_EXPIRED';
  return unauthenticated(expired ? 'the token has expired; sign in again' : 'the token is not valid', error);
}

function unauthenticated(detail: string, cause?: Error): CallError {
  return new CallError('UNAUTHENTICATED', detail, cause && { cause });
}

/** The public face of users: registration, sign-in, accounts; and the key set, which stands outside the base path. */
import { actorOf, OneOf, type RouteApp, type RoutesPlugin, strict, Timestamp, Uuid } from '#kernel';
import { type Static, Type } from '@sinclair/typebox';
import { EMAIL_MAX, emailPattern, PASSWORD_MAX, PASSWORD_MIN, phonePattern, usernamePattern, usernameWords } from './account.ts';
import { KeySet, Role } from './contract.ts';
import type { TokenKeys } from './token-keys.ts';
import { type IssueToken, tokenIssuer } from './tokens.ts';
import type { User, Users } from './users.ts';

const Username = Type.String({
  pattern: usernamePattern,
  description: `${usernameWords}; upper and lower case make no difference`,
  examples: ['ada'],
});
const Email = Type.String({
  pattern: emailPattern,
  maxLength: EMAIL_MAX,
  description: 'an e-mail address; kept in lower case',
  examples: ['ada@example.com'],
});
const Phone = Type.Union([Type.String({ pattern: phonePattern, description: 'E.164', examples: ['+4915112345678'] }), Type.Null()], {
  description: 'null takes it away',
});
const NewPassword = Type.String({ minLength: PASSWORD_MIN, maxLength: PASSWORD_MAX, examples: ['correct horse battery'] });

/** Wider than for a new one: what nobody can have is wrong, not invalid, and is refused as slowly. */
const given = { minLength: 1, maxLength: 4 * PASSWORD_MAX };

const Registered = strict({ id: Uuid, username: Type.String(), email: Type.String(), role: Role, createdAt: Timestamp });
const UserReply = strict({
  id: Uuid,
  username: Type.String(),
  email: Type.String(),
  phone: Type.Union([Type.String(), Type.Null()]),
  role: Role,
  createdAt: Timestamp,
});
const TokenReply = strict({ token: Type.String(), tokenType: OneOf(['Bearer']), expiresIn: Type.Integer({ description: 'Seconds' }) });

const Registration = strict({ username: Username, email: Email, password: NewPassword });
const Credentials = strict({ username: Type.String({ minLength: 1, maxLength: 256 }), password: Type.String(given) });
const OwnChange = strict({
  email: Type.Optional(Email),
  phone: Type.Optional(Phone),
  password: Type.Optional(NewPassword),
  currentPassword: Type.Optional(Type.String({ ...given, description: 'Needed to change the e-mail address or the password' })),
});

const RoleChange = strict({ role: Role });
const params = strict({ id: Uuid });

const tags = ['users'];
const signedIn = ['customer', 'support', 'admin'] as const;

/** How long others may keep the key set; a key is published before it signs, see the README. */
const KEY_SET_MAX_AGE_SECONDS = 300;

export interface UserRouteOptions {
  readonly keys: TokenKeys;
  readonly tokenTtlSeconds: number;
}

/** What costs a password hash counts against the stricter bucket. */
const costly = { limit: 'credentials' };

export function userRoutes(service: Users, { keys, tokenTtlSeconds }: UserRouteOptions): RoutesPlugin {
  return async (app) => {
    const issueToken = await tokenIssuer(keys.signing, tokenTtlSeconds);
    signInRoutes(app, service, { issueToken, tokenTtlSeconds });
    ownRoutes(app, service);
    accountRoutes(app, service);
  };
}

function signInRoutes(app: RouteApp, service: Users, { issueToken, tokenTtlSeconds }: { issueToken: IssueToken; tokenTtlSeconds: number }): void {
  app.post(
    '/users',
    {
      config: { access: 'anyone', ...costly, errors: ['USERNAME_TAKEN', 'EMAIL_TAKEN'] },
      schema: {
        tags, operationId: 'registerUser', summary: 'Makes a customer account.',
        body: Registration, response: { 201: Registered },
      },
    },
    async (request, reply) => reply.code(201).send(registered(await service.register(request.body, request.call))),
  );

  app.post(
    '/users/authenticate',
    {
      config: { access: 'anyone', ...costly, errors: ['INVALID_CREDENTIALS', 'TOO_MANY_SIGN_INS'] },
      schema: {
        tags, operationId: 'authenticateUser', summary: 'Signs in: answers a bearer token.',
        body: Credentials, response: { 200: TokenReply },
      },
    },
    async (request, reply) => {
      const owner = await service.signIn(request.body, { address: request.ip }, request.call);
      reply.header('cache-control', 'no-store');
      return { token: await issueToken(owner), tokenType: 'Bearer' as const, expiresIn: tokenTtlSeconds };
    },
  );
}

function ownRoutes(app: RouteApp, service: Users): void {
  app.get(
    '/users/me',
    {
      config: { access: signedIn, errors: ['USER_NOT_FOUND'] },
      schema: { tags, operationId: 'getOwnUser', summary: 'My account.', response: { 200: UserReply } },
    },
    async (request) => service.get(actorOf(request).id, request.call),
  );

  app.patch(
    '/users/me',
    {
      config: { access: signedIn, ...costly, errors: ['WRONG_PASSWORD', 'EMAIL_TAKEN', 'TOO_MANY_SIGN_INS', 'USER_NOT_FOUND'] },
      schema: {
        tags, operationId: 'changeOwnUser', summary: 'Changes my e-mail address, phone or password.',
        body: OwnChange, response: { 200: UserReply },
      },
    },
    async (request) => service.changeOwn(actorOf(request).id, request.body, { address: request.ip }, request.call),
  );
}

function accountRoutes(app: RouteApp, service: Users): void {
  app.get(
    '/users/:id',
    {
      config: { access: signedIn, errors: ['USER_NOT_FOUND'] },
      schema: {
        tags, operationId: 'getUser', summary: 'An account: one\'s own, or any for support and administrators.',
        params, response: { 200: UserReply },
      },
    },
    async (request) => service.getFor(actorOf(request), request.params.id.toLowerCase(), request.call),
  );

  app.patch(
    '/users/:id',
    {
      config: { access: ['admin'], errors: ['USER_NOT_FOUND', 'LAST_ADMINISTRATOR'] },
      schema: {
        tags, operationId: 'changeUserRole', summary: 'Gives an account another role.',
        params, body: RoleChange, response: { 200: UserReply },
      },
    },
    async (request) => service.changeRole(request.params.id.toLowerCase(), request.body.role, request.call),
  );
}

/** The key set stands outside the base path, where RFC 8615 wants it. */
export function keySetRoutes({ keySet }: TokenKeys): RoutesPlugin {
  return async (app) => {
    app.get(
      '/.well-known/jwks.json',
      {
        config: { access: 'anyone' },
        schema: { tags, operationId: 'getTokenKeys', summary: 'The public keys that verify tokens (RFC 7517).', response: { 200: KeySet } },
      },
      async (_request, reply) => {
        reply.header('cache-control', `public, max-age=${KEY_SET_MAX_AGE_SECONDS}`);
        return keySet;
      },
    );
  };
}

function registered({ id, username, email, role, createdAt }: User): Static<typeof Registered> {
  return { id, username, email, role, createdAt };
}

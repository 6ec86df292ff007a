import { command, defineContract, event, OneOf, query, strict, Uuid } from '#kernel';
import { Type } from '@sinclair/typebox';

export const Role = OneOf(['customer', 'support', 'admin']);

/** A user as other modules may see one: no password, no hash. */
export const UserSummary = strict({
  id: Uuid,
  username: Type.String(),
  email: Type.String(),
  phone: Type.Union([Type.String(), Type.Null()]),
  role: Role,
});

/** Public halves of the keys that sign tokens, as RFC 7517 has them. */
export const KeySet = strict({
  keys: Type.Array(strict({ kty: Type.String({ examples: ['RSA'] }), kid: Type.String(), use: Type.String({ examples: ['sig'] }), alg: Type.String({ examples: ['RS256'] }), n: Type.String(), e: Type.String({ examples: ['AQAB'] }) })),
});

export const WithdrawnTokens = strict(
  {
    withdrawn: Type.Array(strict({ userId: Uuid, generation: Type.Integer({ description: 'Claim `gen` of the oldest good token' }) })),
    next: Type.String({ description: 'Where to go on' }),
    more: Type.Boolean({ description: 'Whether there is more already' }),
  },
  { examples: [{ withdrawn: [], next: '', more: false }] },
);

export const users = defineContract({
  name: 'users',
  version: 1,
  summary: 'Accounts, sign-in and the keys that verify tokens.',
  errors: {
    USERNAME_TAKEN: { status: 409, title: 'The username is taken', remedy: 'Choose another username.' },
    EMAIL_TAKEN: { status: 409, title: 'The e-mail address is taken', remedy: 'Sign in instead, or use another address.' },
    INVALID_CREDENTIALS: { status: 401, title: 'Username or password is wrong', remedy: 'Check both; after several failures wait for Retry-After.' },
    USER_NOT_FOUND: { status: 404, title: 'No such user', remedy: 'Check the id.' },
    WRONG_PASSWORD: { status: 403, title: 'The current password is wrong', remedy: 'Send the password that is valid now as currentPassword.' },
    LAST_ADMINISTRATOR: { status: 409, title: 'It is the only administrator', remedy: 'Make another account an administrator first.' },
    TOO_MANY_SIGN_INS: { status: 429, title: 'Too many failed sign-ins', remedy: 'Wait for the seconds that Retry-After names.' },
  },
  operations: {
    getUser: query({ version: 1, summary: 'One user by id.', input: strict({ userId: Uuid }), output: UserSummary, errors: ['USER_NOT_FOUND'] }),
    getTokenKeys: query({ version: 1, summary: 'The public keys that verify tokens, newest first.', input: strict({}), output: KeySet }),
    /** A change of role or password withdraws the tokens that were signed before it. Told of as long as such tokens may be alive. */
    getWithdrawnTokens: query({
      version: 1,
      summary: 'Users of whose tokens only those from a generation on are good, in the order in which that came to be; some are told of again.',
      input: strict({ after: Type.Optional(Type.String({ description: '`next` of the last answer' })) }),
      output: WithdrawnTokens,
    }),
    /** Lets another module's seed or test make an account without the public API. */
    register: command({
      version: 1,
      summary: 'Creates a customer; repeating it with the same username and e-mail answers the same user.',
      idempotent: true,
      deadlineMs: 5_000,
      input: strict({ username: Type.String(), email: Type.String(), password: Type.String() }),
      output: UserSummary,
      errors: ['USERNAME_TAKEN', 'EMAIL_TAKEN'],
    }),
  },
  events: {
    userRegistered: event({
      version: 1,
      summary: 'An account was made.',
      aggregate: 'userId',
      data: strict({ userId: Uuid, username: Type.String(), email: Type.String(), role: Role }),
    }),
    userChanged: event({
      version: 1,
      summary: 'E-mail, phone, role or password of an account changed; says what, never the password.',
      aggregate: 'userId',
      data: strict({ userId: Uuid, changed: Type.Array(OneOf(['email', 'phone', 'role', 'password'])), role: Role }),
    }),
  },
});

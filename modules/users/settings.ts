/** What an operator may set of the users module. */
import { OneOf } from '#kernel';
import { type Static, Type } from '@sinclair/typebox';
import { PASSWORD_MAX, PASSWORD_MIN, passwordProblem, usernamePattern, usernameWords } from './account.ts';
import { keyContradictions, privateKeyProblem, publicKeyProblem } from './token-keys.ts';

/** The longest that a token may be good for. */
export const MAX_TOKEN_TTL_SECONDS = 86_400;

export const userSettings = Type.Object({
  NODE_ENV: OneOf(['development', 'production', 'test'], {
    default: 'development',
    description: 'In production JWT_PRIVATE_KEY is required.',
  }),
  JWT_PRIVATE_KEY: Type.Optional(
    Type.String({
      secret: true,
      complaint: privateKeyProblem,
      description:
        'Signs tokens: an RSA private key of at least 2048 bits in PEM form, `\\n` allowed for line ends. ' +
        'Without it one is made and kept in the database, except in production.',
    }),
  ),
  JWT_PREVIOUS_KEY: Type.Optional(
    Type.String({
      secret: true,
      complaint: publicKeyProblem,
      description: 'A second key whose tokens are accepted, private or public, in PEM form: the last one, or the one to come.',
    }),
  ),
  TOKEN_TTL_SECONDS: Type.Integer({ default: 3_600, minimum: 60, maximum: MAX_TOKEN_TTL_SECONDS, description: 'Seconds that a token is good for.' }),
  ADMIN_USERNAME: Type.String({ default: 'admin', pattern: usernamePattern, expected: usernameWords, description: 'The administrator that start-up makes.' }),
  ADMIN_PASSWORD: Type.Optional(
    Type.String({
      secret: true,
      expected: `${PASSWORD_MIN} to ${PASSWORD_MAX} characters`,
      complaint: passwordProblem,
      description: 'Its password, brought in line at each start. Without it the first start makes one up and prints it once.',
    }),
  ),
  PASSWORD_HASH_CONCURRENCY: Type.Integer({
    default: 1,
    minimum: 1,
    maximum: 32,
    description: 'Passwords hashed at a time, each in a thread of its own with 19 MiB.',
  }),
  PASSWORD_HASH_QUEUE: Type.Integer({
    default: 64,
    minimum: 1,
    maximum: 10_000,
    description: 'Hashes that may wait for their turn; beyond it 503.',
  }),
  SIGN_IN_ACCOUNT_FAILURES: Type.Integer({
    default: 10,
    minimum: 1,
    maximum: 10_000,
    description: 'Failed sign-ins per account and window, then 429.',
  }),
  SIGN_IN_ADDRESS_FAILURES: Type.Integer({
    default: 50,
    minimum: 1,
    maximum: 1_000_000,
    description: 'Failed sign-ins per address and window, then 429.',
  }),
  SIGN_IN_WINDOW_SECONDS: Type.Integer({ default: 900, minimum: 1, maximum: 86_400, description: 'Length of that window.' }),
}, { contradictions: keyContradictions });

export type UserSettings = Static<typeof userSettings>;

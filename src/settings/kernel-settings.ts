/** The settings of the process itself. A module's own ones stand in its `module.ts`. */
import { type Static, Type } from '@sinclair/typebox';
import { OneOf } from '../contract/schemas.ts';
import { traceSettings } from './trace-settings.ts';

export const kernelSettings = Type.Object({
  NODE_ENV: OneOf(['development', 'production', 'test'], {
    default: 'development',
    description: 'In production the secrets that sign tokens must be given; nothing is made up and kept instead.',
  }),
  PORT: Type.Integer({ default: 8080, minimum: 0, maximum: 65_535, description: 'Port of the public API; 0 takes any free one.' }),
  HOST: Type.String({
    default: '127.0.0.1',
    minLength: 1,
    pattern: '^[0-9A-Za-z.:_-]+$',
    expected: 'an address or host name of this machine',
    description: 'Address to listen on. The default is reachable from this machine alone; in a container, or for others, use 0.0.0.0.',
  }),
  DATABASE_URL: Type.Optional(
    Type.String({
      format: 'url',
      protocols: ['postgres', 'postgresql'],
      secret: true,
      examples: ['postgres://user:password@localhost:5432/cleave'],
      description:
        'PostgreSQL 15 or newer to use, with a login that may create roles and schemas. ' +
        'Without it an embedded PostgreSQL runs on data under DATA_DIR.',
    }),
  ),
  DATA_DIR: Type.String({ default: '.data', minLength: 1, description: 'Folder of the embedded database; relative to the project.' }),
  DATABASE_ROLE_PREFIX: Type.String({
    default: 'cleave_',
    pattern: '^(?!pg_)[a-z][a-z0-9_]{0,29}$',
    expected: 'up to 30 lower-case letters, digits and underscores, the first one a letter, and not pg_, which PostgreSQL keeps for its own roles',
    description:
      'Begins the name of each database role that is made (`cleave_orders`); lets two deployments share one server. ' +
      'Keep it as long as the database lives.',
  }),
  POOL_SIZE: Type.Integer({ default: 10, minimum: 2, maximum: 200, description: 'Database connections per module at the most.' }),
  LOG_LEVEL: OneOf(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
    default: 'info',
    description: 'Least severity that is logged, as JSON lines on standard output.',
  }),
  SEED_DEMO: Type.Boolean({ default: true, description: 'Fills an empty database with the demo catalog.' }),
  TRUST_PROXY: Type.String({
    default: 'false',
    pattern: '^(true|false|[0-9]{1,2}|[0-9A-Fa-f.:/]+(, ?[0-9A-Fa-f.:/]+)*)$',
    expected: 'true, false, a number of hops, or addresses of proxies separated by commas',
    examples: ['10.0.0.0/8'],
    description: 'Whose X-Forwarded-* headers to believe: true, false, the number of proxies in front, or their addresses.',
  }),
  RATE_LIMIT_PER_MINUTE: Type.Integer({
    default: 6_000,
    minimum: 0,
    maximum: 1_000_000,
    description:
      'Requests a minute that one user, or one address without a token, may make; 0: any number. ' +
      'Set it where strangers can reach the process.',
  }),
  REDIS_URL: Type.Optional(
    Type.String({
      format: 'url',
      protocols: ['redis', 'rediss'],
      secret: true,
      examples: ['redis://localhost:6379'],
      description:
        'Redis in which the processes of a deployment count requests together. Without it, or while it does not answer ' +
        'within 100 ms, each process counts by itself.',
    }),
  ),
  REQUEST_TIMEOUT_MS: Type.Integer({
    default: 30_000,
    minimum: 100,
    maximum: 600_000,
    description: 'How long a request may take to arrive, in ms, before it is answered with 408; looked at once a second.',
  }),
  OVERLOAD_DELAY_MS: Type.Integer({
    default: 100,
    minimum: 0,
    maximum: 60_000,
    description:
      'How long requests may keep waiting for the processor or for a database connection, in ms, before others are turned ' +
      'away with 503, so that those taken are answered soon; 0: however long.',
  }),
  SHUTDOWN_NOTICE_MS: Type.Integer({
    default: 100,
    minimum: 0,
    maximum: 600_000,
    description:
      'How long after SIGTERM or Ctrl-C new connections are still taken while `/ready` answers 503, in ms; counts towards ' +
      'SHUTDOWN_TIMEOUT_MS. Behind a load balancer: longer than it takes to look there.',
  }),
  SHUTDOWN_TIMEOUT_MS: Type.Integer({
    default: 10_000,
    minimum: 0,
    maximum: 600_000,
    description: 'How long requests and jobs in hand may take to finish after SIGTERM or Ctrl-C, in ms.',
  }),
  EVENT_MAX_ATTEMPTS: Type.Integer({ default: 12, minimum: 1, maximum: 100, description: 'Tries a subscriber gets for an event before it becomes a dead letter.' }),
  EVENT_RETRY_BASE_MS: Type.Integer({ default: 250, minimum: 1, maximum: 60_000, description: 'Delay before the second try of an event in ms; doubles with each further one.' }),
  EVENT_RETRY_MAX_MS: Type.Integer({ default: 60_000, minimum: 1, maximum: 3_600_000, description: 'Longest delay between two tries of an event, in ms.' }),
  EVENT_HANDLER_TIMEOUT_MS: Type.Integer({ default: 10_000, minimum: 10, maximum: 600_000, description: 'How long an event handler may take, in ms.' }),
  EVENT_POLL_MS: Type.Integer({ default: 1_000, minimum: 10, maximum: 60_000, description: 'How often outboxes and sagas are looked at when nothing wakes them, in ms.' }),
  SAGA_RETRY_BASE_MS: Type.Integer({ default: 200, minimum: 1, maximum: 60_000, description: 'Delay before the second try of a saga step in ms; doubles with each further one.' }),
  SAGA_RETRY_MAX_MS: Type.Integer({ default: 15_000, minimum: 1, maximum: 3_600_000, description: 'Longest delay between two tries of a saga step, in ms.' }),
  SAGA_STEP_TIMEOUT_MS: Type.Integer({ default: 15_000, minimum: 10, maximum: 600_000, description: 'How long one try of a saga step may take, in ms.' }),
  ...traceSettings,
});

export type KernelSettings = Static<typeof kernelSettings>;

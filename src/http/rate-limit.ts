/**
 * Bounds how much one caller may ask for: a user where a token says who it is, else an address (IPv6: a /64).
 * Requests that fail authentication count against the address, so guessing tokens is bounded too.
 */
import rateLimit, { normalizeIP } from '@fastify/rate-limit';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { CallError } from '../contract/errors.ts';
import { rateLimitHeaders } from './rate-limit-headers.ts';
import { SharedCounts } from './shared-counts.ts';

/** Requests a minute and address of the buckets that a route may name as `config.limit`. */
const BUCKETS: Readonly<Record<string, number>> = {
  /** For what costs a password hash, or makes accounts. */
  credentials: 120,
};

const WINDOW_MS = 60_000;

/** Counts a request; hands over an error when it is one too many. */
export type Limit = (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) => void;

/** The limit of a route by the bucket that it names; undefined where nothing is limited. */
export type Limits = (bucket: string | undefined) => Limit | undefined;

export interface LimitOptions {
  /** Requests a minute per caller; 0 lifts all limits. */
  readonly perMinute: number;
  /** Where all processes count together; without it each counts by itself. */
  readonly redisUrl: string | undefined;
  readonly log: Logger;
  /** Sets these counts apart from those of others in the same Redis, e.g. of services behind this process that count the same requests. */
  readonly countedAs?: string | undefined;
}

/** @throws TypeError from the result when a route names an unknown bucket */
export async function createLimits(app: FastifyInstance, { perMinute, redisUrl, log, countedAs }: LimitOptions): Promise<Limits> {
  if (perMinute === 0) return (bucket) => void checkBucket(bucket);
  const counts = redisUrl === undefined ? undefined : await SharedCounts.open(redisUrl, log, countedAs);
  if (counts) app.addHook('onClose', async () => counts.close());
  await app.register(rateLimit, { global: false, ...(counts && { store: counts.store }) });
  const general = limiter(app, perMinute, callerOf);
  const strict = new Map(Object.entries(BUCKETS).map(([name, max]) => [name, limiter(app, Math.min(max, perMinute), callerIn(name))]));
  return (bucket) => (bucket === undefined ? general : strict.get(checkBucket(bucket)!));
}

function checkBucket(bucket: string | undefined): string | undefined {
  if (bucket === undefined || Object.hasOwn(BUCKETS, bucket)) return bucket;
  const known = Object.keys(BUCKETS).join(', ');
  throw new TypeError(`config.limit is ${bucket}, but the buckets are ${known}: use one of them, or add it in src/http/rate-limit.ts`);
}

function limiter(app: FastifyInstance, max: number, keyGenerator: (request: FastifyRequest) => string): Limit {
  const count = app.createRateLimit({ max, timeWindow: WINDOW_MS, keyGenerator });
  return (request, reply, done) => {
    count(request).then((usage) => {
      if (usage.isAllowed || !usage.isExceeded) return done();
      refuse(reply, usage.max, usage.ttlInSeconds);
      done(new CallError('RATE_LIMITED', `more than ${usage.max} requests in a minute; repeat in ${usage.ttlInSeconds} seconds`));
    }, done);
  };
}

function refuse(reply: FastifyReply, limit: number, resetSeconds: number): void {
  reply.header('retry-after', resetSeconds).headers(rateLimitHeaders({ limit, remaining: 0, resetSeconds }));
}

function callerIn(bucket: string): (request: FastifyRequest) => string {
  return (request) => `${bucket} ${addressOf(request)}`;
}

function callerOf(request: FastifyRequest): string {
  return request.actor ? `user ${request.actor.id}` : addressOf(request);
}

function addressOf(request: FastifyRequest): string {
  return normalizeIP(request.ip);
}

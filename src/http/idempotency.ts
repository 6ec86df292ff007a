/**
 * Idempotency keys of public commands, kept in the schema of the module that carries them out so that they
 * commit with the effect. Table (in the module's migration):
 *
 *   create table idempotency_key (
 *     owner_id uuid not null, key text not null, fingerprint text not null,
 *     status int, response jsonb, created_at timestamptz not null default now(),
 *     primary key (owner_id, key));
 *
 * An effect that fits into one transaction: absent --claim, effect, answer--> answered. The key is held by an
 * advisory lock meanwhile, so a crash frees it.
 *
 * An effect that needs several, because it asks somebody outside in between:
 *
 *   absent --claim, begin--> running --hold, finish, by whoever brings the work to its end--> answered
 *   running --claim, when `isAbandoned` says that nobody works on it--> running, under the claimant
 *
 * Whoever ends the work holds the same lock. Otherwise it could end after `claim` has found the key running and before
 * `isAbandoned` looks: the work would seem abandoned, and be begun once more under the same key.
 */
import { createHash } from 'node:crypto';
import { Type } from '@sinclair/typebox';
import { CallError } from '../contract/errors.ts';
import type { Sql, Transaction } from '../database/database.ts';

/** The answer that a key replays. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** Names a key; without `key` the request came without one, and whatever is done with it does nothing. */
export interface KeyRef {
  readonly ownerId: string;
  readonly key: string | undefined;
}

export interface KeyedRequest extends KeyRef {
  /** Operation and body; the same key with another one is refused. */
  readonly body: unknown;
  readonly route: string;
}

export interface Idempotency {
  /**
   * First thing in the transaction. Returns the answer to replay, or undefined when the work is to be done.
   * @throws CallError IDEMPOTENCY_KEY_REUSED (422), IDEMPOTENCY_IN_PROGRESS (409)
   */
  claim(tx: Transaction, request: KeyedRequest): Promise<Answer | undefined>;
  /** Records the answer in the transaction of the effect. Without a key it does nothing. */
  answer(tx: Transaction, request: KeyedRequest, answer: Answer): Promise<void>;
  /** Marks the key as running beyond this transaction, until `finish` in a later one. */
  begin(tx: Transaction, request: KeyedRequest): Promise<void>;
  /** First thing in the transaction that ends the work of a running key: waits for whoever claims it, and keeps others from it. */
  hold(tx: Transaction, ref: KeyRef): void;
  /** Records the answer of a running key in the transaction that holds it; the request itself need not be known. */
  finish(tx: Transaction, ref: KeyRef, answer: Answer): Promise<void>;
  /** Forgets keys older than two days; the API promises one. */
  forget(db: Sql): Promise<void>;
}

export interface IdempotencyOptions {
  /**
   * Asked about a running key: true when nobody works on it any more, because the request died or got no answer
   * from outside. The claimant then brings it to an end. Default: never.
   */
  isAbandoned?(tx: Transaction, ref: KeyRef): Promise<boolean>;
}

/** Header schema for routes that take a key: 1 to 255 visible ASCII characters. */
export const idempotencyKeyPattern = '^[\\x21-\\x7e]{1,255}$';

/** Headers of a route that takes an idempotency key. */
export const idempotencyKeyHeader = Type.Object({
  'idempotency-key': Type.Optional(Type.String({ pattern: idempotencyKeyPattern, description: '1 to 255 visible ASCII characters; repeating the request with the same key replays its first answer', examples: ['order-7d1c'] })),
});

export function createIdempotency(options: IdempotencyOptions = {}): Idempotency {
  return { claim: (tx, request) => claim(tx, request, options), answer, begin, hold, finish, forget };
}

interface KeyRow {
  fingerprint: string;
  status: number | null;
  response: unknown;
}

/** Of the key $1 in the module's schema: a lock is the whole database's, and modules share one or do not. */
const LOCK = `hashtextextended('idempotency:' || current_schema() || ':' || $1, 0)`;

async function claim(tx: Transaction, request: KeyedRequest, options: IdempotencyOptions): Promise<Answer | undefined> {
  if (request.key === undefined) return undefined;
  const [lock] = await tx.sql<{ free: boolean }>(`select pg_try_advisory_xact_lock(${LOCK}) as free`, [lockName(request)]);
  if (!lock!.free) throw inProgress();
  const [row] = await tx.sql<KeyRow>('select fingerprint, status, response from idempotency_key where owner_id = $1 and key = $2', [
    request.ownerId,
    request.key,
  ]);
  if (!row) return undefined;
  if (row.fingerprint !== fingerprint(request)) throw new CallError('IDEMPOTENCY_KEY_REUSED', 'this key came with another request before; use a new one');
  if (row.status === null) {
    if (await options.isAbandoned?.(tx, request)) return undefined;
    throw inProgress();
  }
  return { status: row.status, body: row.response };
}

async function answer(tx: Transaction, request: KeyedRequest, result: Answer): Promise<void> {
  if (request.key === undefined) return;
  await tx.sql(
    `insert into idempotency_key (owner_id, key, fingerprint, status, response) values ($1, $2, $3, $4, $5)
     on conflict (owner_id, key) do update set status = excluded.status, response = excluded.response`,
    [request.ownerId, request.key, fingerprint(request), result.status, JSON.stringify(result.body)],
  );
}

async function begin(tx: Transaction, request: KeyedRequest): Promise<void> {
  if (request.key === undefined) return;
  await tx.sql('insert into idempotency_key (owner_id, key, fingerprint) values ($1, $2, $3) on conflict do nothing', [
    request.ownerId,
    request.key,
    fingerprint(request),
  ]);
}

function hold(tx: Transaction, ref: KeyRef): void {
  if (ref.key !== undefined) tx.later(`select pg_advisory_xact_lock(${LOCK})`, [lockName(ref)]);
}

function lockName({ ownerId, key }: KeyRef): string {
  return `${ownerId}:${key}`;
}

async function finish(tx: Transaction, ref: KeyRef, result: Answer): Promise<void> {
  if (ref.key === undefined) return;
  await tx.sql('update idempotency_key set status = $3, response = $4 where owner_id = $1 and key = $2 and status is null', [
    ref.ownerId,
    ref.key,
    result.status,
    JSON.stringify(result.body),
  ]);
}

async function forget(db: Sql): Promise<void> {
  await db.sql(`delete from idempotency_key where created_at < now() - interval '48 hours'`);
}

function inProgress(): CallError {
  return new CallError('IDEMPOTENCY_IN_PROGRESS', 'the first request with this key is still running; repeat it a little later');
}

/** Key order in objects does not matter: two spellings of one request are one request. */
function fingerprint(request: KeyedRequest): string {
  return createHash('sha256').update(canonical([request.route, request.body])).digest('base64url');
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return `{${entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join()}}`;
}

/**
 * Bounds the guessing of passwords, per account and per address, for all processes together.
 *
 *   no row --failure--> counting --failures reach the limit--> blocked --window ends--> no row
 *   counting (account) --success--> no row; one whose window has ended is left to the sweep
 *
 * The window begins with the first failure and does not move. A name that nobody has is counted like any other,
 * or else the refusal would tell who has an account. Names and addresses are kept as hashes.
 */
import { createHash } from 'node:crypto';
import { type Call, type Database, refuse } from '#kernel';
import { normalizeIP } from '@fastify/rate-limit';
import { usernameKey } from './account.ts';
import { users } from './contract.ts';

export interface ThrottleLimits {
  readonly accountFailures: number;
  readonly addressFailures: number;
  readonly windowSeconds: number;
}

/** Who tries to sign in, and from where. */
export interface Attempt {
  readonly username: string;
  readonly address: string;
}

interface Bucket {
  readonly key: string;
  readonly limit: number;
}

interface Count {
  bucket: string;
  failures: number;
  seconds: number;
}

export class SignInThrottle {
  readonly #db: Database;
  readonly #limits: ThrottleLimits;

  constructor(db: Database, limits: ThrottleLimits) {
    this.#db = db;
    this.#limits = limits;
  }

  /**
   * @returns whether the account has failures to be forgiven
   * @throws ContractError TOO_MANY_SIGN_INS with `retryAfterSeconds` and `limit`
   */
  async admit(attempt: Attempt, call: Call): Promise<boolean> {
    const buckets = this.#buckets(attempt);
    const counts = await this.#db.for(call).sql<Count>(
      `select bucket, failures, ceil(extract(epoch from resets_at - now()))::int as seconds
       from sign_in_failure where bucket in ($1, $2) and resets_at > now()`,
      [buckets.account.key, buckets.address.key],
    );
    for (const bucket of [buckets.account, buckets.address]) refuseBlocked(bucket, counts);
    return counts.some(({ bucket }) => bucket === buckets.account.key);
  }

  /** Counts a failure. The account's row always comes first, so that two attempts cannot lock crosswise. */
  async countFailure(attempt: Attempt, call: Call): Promise<void> {
    const { account, address } = this.#buckets(attempt);
    await this.#db.for(call).sql(
      `insert into sign_in_failure as known (bucket, failures, resets_at)
       values ($1, 1, now() + make_interval(secs => $3)), ($2, 1, now() + make_interval(secs => $3))
       on conflict (bucket) do update set
         failures = case when known.resets_at > now() then known.failures + 1 else 1 end,
         resets_at = case when known.resets_at > now() then known.resets_at else excluded.resets_at end`,
      [account.key, address.key, this.#limits.windowSeconds],
    );
  }

  /** Forgets the account's failures. The address keeps its own: one good account must not buy more guesses. */
  async forgive(attempt: Attempt, call: Call): Promise<void> {
    await this.#db.for(call).sql('delete from sign_in_failure where bucket = $1', [this.#buckets(attempt).account.key]);
  }

  /** Deletes what is over; for a task. */
  async sweep(call: Call): Promise<void> {
    call.throwIfOver();
    await this.#db.sql('delete from sign_in_failure where resets_at <= now()');
  }

  /** An IPv6 host has a /64 to pick addresses from: that counts as one. */
  #buckets({ username, address }: Attempt): { account: Bucket; address: Bucket } {
    return {
      account: { key: hashed(`account:${usernameKey(username)}`), limit: this.#limits.accountFailures },
      address: { key: hashed(`address:${normalizeIP(address)}`), limit: this.#limits.addressFailures },
    };
  }
}

function refuseBlocked({ key, limit }: Bucket, counts: readonly Count[]): void {
  const count = counts.find(({ bucket }) => bucket === key);
  if (!count || count.failures < limit) return;
  const retryAfterSeconds = Math.max(1, count.seconds);
  throw refuse(users, 'TOO_MANY_SIGN_INS', `${limit} sign-ins have failed; try again in ${retryAfterSeconds} seconds`, { retryAfterSeconds, limit });
}

function hashed(bucket: string): string {
  return createHash('sha256').update(bucket).digest('base64url');
}

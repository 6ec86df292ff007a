/**
 * Brings to an end what a crash or a silent gateway left behind. Attempts and refunds whose lease is over are
 * looked after in small batches, those that were left alone longest first. They are not leased for it: a
 * customer who comes back meanwhile does not have to wait.
 */
import type { Call, Database, Idempotency, Task } from '#kernel';
import type { Logger } from 'pino';
import type { Charges } from './charges.ts';
import { type Payment, paymentColumns } from './payment.ts';
import { type Refund, refundColumns } from './refund.ts';
import type { Refunds } from './refunds.ts';

export interface RecoveryInit {
  readonly db: Database;
  readonly charges: Charges;
  readonly refunds: Refunds;
  readonly keys: Idempotency;
  readonly log: Logger;
  readonly leaseMs: number;
}

/** Few enough not to crowd a gateway that is just getting up again. */
const BATCH = 8;
const EVERY_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

export function recoveryTasks(init: RecoveryInit): Task[] {
  return [
    { name: 'settle-charges', everyMs: EVERY_MS, run: (call) => settleCharges(init, call) },
    { name: 'carry-out-refunds', everyMs: EVERY_MS, run: (call) => carryOutRefunds(init, call) },
    { name: 'forget-idempotency-keys', everyMs: HOUR_MS, firstAfterMs: MINUTE_MS, run: () => init.keys.forget(init.db) },
  ];
}

async function settleCharges(init: RecoveryInit, call: Call): Promise<void> {
  const attempts = await abandonedAttempts(init);
  await allOf<Payment>(init, call, attempts, async (attempt, within) => {
    if (attempt.origin === 'customer') await init.charges.resolve(attempt, within);
    else await init.charges.lookUp(attempt, within);
  });
}

async function carryOutRefunds(init: RecoveryInit, call: Call): Promise<void> {
  await allOf(init, call, await abandonedRefunds(init), (refund, within) => init.refunds.carryOut(refund, within));
}

type End<Item> = (item: Item, call: Call) => Promise<unknown>;

async function allOf<Item extends { id: string }>(init: RecoveryInit, call: Call, items: readonly Item[], end: End<Item>): Promise<void> {
  const within = call.with({ timeoutMs: init.leaseMs });
  const ends = await Promise.allSettled(items.map((item) => end(item, within)));
  ends.forEach((result, i) => {
    if (result.status === 'rejected') init.log.warn({ err: result.reason as Error, id: items[i]!.id }, 'not settled yet; it is tried again');
  });
}

/** Fulfilment's own are given a lease's time more: it repeats its charges itself. */
function abandonedAttempts({ db, leaseMs }: RecoveryInit): Promise<Payment[]> {
  return db.sql<Payment>(
    `update payment set leased_until = now() where id in (
       select id from payment
       where status = 'pending' and leased_until <= now() - (case origin when 'customer' then $1::int else $2::int end) * interval '1 millisecond'
       order by leased_until limit $3 for update skip locked)
     returning ${paymentColumns}`,
    [EVERY_MS, leaseMs, BATCH],
  );
}

function abandonedRefunds({ db }: RecoveryInit): Promise<Refund[]> {
  return db.sql<Refund>(
    `update refund set leased_until = now() where id in (
       select id from refund where status = 'pending' and leased_until <= now() - $1 * interval '1 millisecond'
       order by leased_until limit $2 for update skip locked)
     returning ${refundColumns}`,
    [EVERY_MS, BATCH],
  );
}

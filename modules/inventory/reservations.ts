/**
 * Reservations: stock that is set aside for orders. One row per order:
 *
 *   (none) --reserve, all lines are there--> reserved --commit--> committed --release--> released (restocked)
 *   (none) --reserve, a line is short--> out_of_stock --release--> released
 *   (none) --release--> released (tombstone: a later reserve answers `released`)
 *   reserved --release--> released      reserved --its time is up--> expired --release--> released
 *
 * Two calls that race for one order are decided by the reservation's row, or by its primary key while there is
 * none: the loser waits for the winner's commit and then sees what it did. Rows are never deleted.
 */
import { type Call, type Database, refuse, type Transaction } from '#kernel';
import { inventory } from './contract.ts';
import { answerToReserve, mergeLines, type ReservationStatus, type ReserveInput, type ReserveOutput } from './reservation.ts';
import { BURY, COMMIT, EXPIRE, FIND, RELEASE, RESERVE } from './reservation-sql.ts';

/** Bounds how many stock rows one expiry holds, and for how long. */
const EXPIRY_BATCH = 100;

interface Entry {
  status: ReservationStatus;
  missing: string[];
}

export class Reservations {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Sets all lines aside or none. Idempotent by order. */
  async reserve(input: ReserveInput, call: Call): Promise<ReserveOutput> {
    const { productIds, quantities } = mergeLines(input.items);
    const [entry] = await this.#db.for(call).sql<Entry>(RESERVE, [input.orderId, productIds, quantities, input.expiresAt]);
    return answerToReserve(entry ?? (await this.#find(input.orderId, call))!);
  }

  /**
   * Idempotent.
   * @throws ContractError RESERVATION_NOT_HELD when it has expired, was released or never was
   */
  async commit(orderId: string, call: Call): Promise<void> {
    const [committed] = await this.#db.for(call).sql(COMMIT, [orderId]);
    if (committed) return;
    const entry = await this.#find(orderId, call);
    if (entry?.status === 'committed') return;
    const detail = `the reservation of order ${orderId} is ${entry?.status ?? 'unknown'}, expected reserved; reserve again under a new order`;
    throw refuse(inventory, 'RESERVATION_NOT_HELD', detail);
  }

  /** Idempotent; leaves a tombstone where nothing was reserved yet. */
  async release(orderId: string, call: Call): Promise<void> {
    const db = this.#db.for(call);
    const [released] = await db.sql(RELEASE, [orderId]);
    if (released) return;
    const [buried] = await db.sql(BURY, [orderId]);
    if (buried) return;
    // Either it was released before, or a reserve that was under way has committed since: then there is stock to free.
    await db.sql(RELEASE, [orderId]);
  }

  /** Frees what is past its time, batch by batch, and says so. */
  async expire(call: Call): Promise<void> {
    let expired;
    do {
      call.throwIfOver();
      expired = await this.#db.transaction({ call }, expireBatch);
    } while (expired === EXPIRY_BATCH);
  }

  async #find(orderId: string, call: Call): Promise<Entry | undefined> {
    const [entry] = await this.#db.for(call).sql<Entry>(FIND, [orderId]);
    return entry;
  }
}

async function expireBatch(tx: Transaction): Promise<number> {
  const expired = await tx.sql<{ order_id: string }>(EXPIRE, [EXPIRY_BATCH]);
  for (const { order_id: orderId } of expired) tx.publish(inventory.events.reservationExpired, { orderId });
  return expired.length;
}

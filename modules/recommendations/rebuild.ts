/**
 * Counts anew, from the history of orders, while the counts of before are answered:
 *
 *   asked for --the module's owner finds it--> running: the history is read page by page, and events count in both countings
 *   running --the history is read--> current; the one before is outdated --its rows are removed, some at a time--> (gone)
 *
 * A page and the place behind it commit together, so a crash goes on where it was. What changes after the counting has begun is
 * told by events, which count in it as well: what is read twice, or in the wrong order, is counted once (counts.ts).
 */
import { type Call, type Client, type Database, type Task, type Transaction, uuidv7 } from '#kernel';
import type { orders } from '../orders/contract.ts';
import { cameToNothing, type Counting, CountingEntity, type PastOrder, productsOf, wasBought } from './counting.ts';
import { count, liveCountings, takeBack } from './counts.ts';

export interface RebuildParts {
  readonly db: Database;
  readonly orders: Client<typeof orders>;
}

const EVERY_MS = 1_000;
const PAGE = 200;
const ROWS_REMOVED = 5_000;
/** A page that is begun should end within the time of the task. */
const LEAST_MS = 20_000;

/** Begins a counting, or answers the one that is under way. */
export async function requestRebuild(db: Database, call: Call): Promise<Counting> {
  return db.transaction({ call }, async (tx) => {
    await liveCountings(tx);
    await tx.sql(`insert into counting (id, status) values ($1, 'running') on conflict do nothing`, [uuidv7()]);
    return tx.em.findOneOrFail(CountingEntity, { status: 'running' });
  });
}

/** The counting that was asked for last; where none was, the one that the shop began with. */
export async function latestCounting(db: Database, call: Call): Promise<Counting> {
  const [latest] = await db.for(call).em().find(CountingEntity, {}, { orderBy: { id: 'desc' }, limit: 1 });
  return latest!;
}

export function rebuilds(parts: RebuildParts): Task {
  return {
    name: 'rebuilds',
    everyMs: EVERY_MS,
    async run(call) {
      while (call.remainingMs > LEAST_MS && (await readPage(parts, call)));
      while (call.remainingMs > LEAST_MS && (await removeOutdated(parts.db, call)));
    },
  };
}

/** @returns whether there may be more to read at once */
async function readPage({ db, orders: client }: RebuildParts, call: Call): Promise<boolean> {
  const running = await db.for(call).em().findOne(CountingEntity, { status: 'running' });
  if (!running) return false;
  const { items } = await client.listOrders({ limit: PAGE, ...(running.afterOrder !== null && { after: running.afterOrder! }) }, call);
  await db.transaction({ call }, async (tx) => {
    await liveCountings(tx);
    for (const order of items) countPast(tx, running.id, order);
    if (items.length < PAGE) return finish(tx, running.id, items.length);
    // Somebody else who thinks that it owns the module may have read the page as well: it counts once, and so does its place.
    tx.mustChange(`update counting set after_order = $2, orders_read = orders_read + $3 where id = $1 and after_order is not distinct from $4 returning 1`, [running.id, items.at(-1)!.orderId, items.length, running.afterOrder]);
  });
  return items.length === PAGE;
}

function countPast(tx: Transaction, counting: string, { orderId, items, status }: PastOrder): void {
  if (wasBought(status)) count(tx, [counting], { orderId, productIds: productsOf(items) });
  else if (cameToNothing(status)) takeBack(tx, [counting], orderId);
}

async function finish(tx: Transaction, counting: string, read: number): Promise<void> {
  await tx.sql(`update counting set status = 'outdated' where status = 'current'`);
  tx.mustChange(`update counting set status = 'current', finished_at = now(), orders_read = orders_read + $2 where id = $1 and status = 'running' returning 1`, [counting, read]);
}

/** @returns whether there may be more to remove at once */
async function removeOutdated(db: Database, call: Call): Promise<boolean> {
  const statements = db.for(call);
  const [outdated] = await statements.sql<{ id: string }>(`select id from counting where status = 'outdated' order by id limit 1`);
  if (!outdated) return false;
  for (const table of ['pair', 'basket']) {
    const removed = await statements.sql(`delete from ${table} where ctid = any(array(select ctid from ${table} where counting_id = $1 limit ${ROWS_REMOVED})) returning 1`, [outdated.id]);
    if (removed.length > 0) return true;
  }
  await statements.sql(`delete from counting where id = $1`, [outdated.id]);
  return true;
}

/** What a side still has to do for the orders that it has accepted, and whether it has done all of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

const LOOK_EVERY_MS = 20;
/** An order may be on its way to its commit when the last request is hung up on: idle is what looks idle twice. */
const SURE_AFTER_MS = 250;
const PATIENCE_MS = 120_000;

const BUSY = `select exists (select from orders_outbox.saga where name = 'fulfilment' and wake_at <= now())
    or exists (select from orders_outbox.job where state < 'active') as busy`;

const OLDEST = `select coalesce(extract(epoch from now() - least(
    (select min(wake_at) from orders_outbox.saga where name = 'fulfilment' and wake_at <= now()),
    (select min(created_on) from orders_outbox.job where state < 'active'))), 0)::float8 * 1000 as ms`;

const WORK = `select
    (select count(*)::int from orders.customer_order) as orders,
    (select count(*)::int from orders.customer_order where status = 'awaiting_payment') as awaiting,
    (select count(*)::int from orders.order_event where event <> 'message_sent') / 3 as histories,
    (select count(*)::int from orders_outbox.saga where status = 'waiting' and step = 'payment') as sagas,
    (select count(*)::int from inventory.reservation where status = 'reserved') as reservations,
    (select count(*)::int from payments.payable where status = 'open') as payables,
    (select count(*)::int from notifications_outbox.inbox where subscriber = 'notifications.customer-messages') as handled,
    (select count(*)::int from notifications.notification where status = 'sent') as mails`;

export class Backlog {
  readonly #client: pg.Client;

  private constructor(client: pg.Client) {
    this.#client = client;
  }

  static async open(databaseUrl: string): Promise<Backlog> {
    const client = new pg.Client({ connectionString: databaseUrl, application_name: 'cleave:bench' });
    // The next query tells of a lost connection.
    client.on('error', () => undefined);
    await client.connect();
    return new Backlog(client);
  }

  /**
   * Waits until every order has been reserved and opened for payment, and its event handled.
   * @returns the time when that was so, in epoch milliseconds
   */
  async drained(): Promise<number> {
    const givenUpAt = Date.now() + PATIENCE_MS;
    let idleSince: number | undefined;
    while (Date.now() < givenUpAt) {
      const { rows } = await this.#client.query<{ busy: boolean }>({ name: 'busy', text: BUSY });
      idleSince = rows[0]!.busy ? undefined : (idleSince ?? Date.now());
      if (idleSince !== undefined && Date.now() - idleSince >= SURE_AFTER_MS) return idleSince;
      await sleep(LOOK_EVERY_MS);
    }
    throw new Error(`the backlog was not worked off within ${PATIENCE_MS / 1_000} s`);
  }

  /** Milliseconds for which the oldest event has waited to be handled, or the oldest saga for its next step; 0 when none does. */
  async oldestMs(): Promise<number> {
    const { rows } = await this.#client.query<{ ms: number }>(OLDEST);
    return rows[0]!.ms;
  }

  /**
   * How many orders there are.
   * @throws Error when something that belongs to an order is missing, or there twice
   */
  async orders(): Promise<number> {
    const { rows } = await this.#client.query<Record<string, number>>(WORK);
    const { orders, ...done } = rows[0]!;
    const off = Object.entries(done).filter(([, count]) => count !== orders);
    if (off.length > 0) throw new Error(`of ${orders} orders not everything is done: ${off.map(([what, count]) => `${what} ${count}`).join(', ')}`);
    return orders!;
  }

  async close(): Promise<void> {
    await this.#client.end();
  }
}

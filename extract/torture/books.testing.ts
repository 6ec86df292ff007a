/** Do stock, money, parcels, events and mails add up, seen from all tables at once? Each claim comes with what contradicts it. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Violations } from './result.testing.ts';
import type { Subscription } from './stage.testing.ts';

const LOOK_EVERY_MS = 50;
const PATIENCE_MS = 60_000;

interface Busy {
  readonly what: string;
}

export class Books {
  readonly #pools = new Map<string, pg.Pool>();
  readonly #adminUrl: string;
  readonly #apart: Readonly<Record<string, string>> | undefined;

  /**
   * @param adminUrl connection string of the superuser of the shop's database
   * @param apart of each module's database, where they have one each: what is under way is looked for there. For everything else the
   * first has to have all schemas, too (gathered.testing.ts).
   */
  constructor(adminUrl: string, apart?: Readonly<Record<string, string>>) {
    this.#adminUrl = adminUrl;
    this.#apart = apart;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map(async (pool) => pool.end()));
  }

  async rows<R extends object>(text: string, params: readonly unknown[] = []): Promise<R[]> {
    return this.#rowsAt<R>(this.#adminUrl, text, params);
  }

  async #rowsAt<R extends object>(url: string, text: string, params: readonly unknown[]): Promise<R[]> {
    return (await this.#poolOf(url).query<R & pg.QueryResultRow>(text, params as unknown[])).rows;
  }

  #poolOf(url: string): pg.Pool {
    const known = this.#pools.get(url);
    if (known) return known;
    const pool = new pg.Pool({ connectionString: url, max: 2, application_name: 'torture' });
    // A server that is killed takes idle connections along; the next query makes another one.
    pool.on('error', () => undefined);
    this.#pools.set(url, pool);
    return pool;
  }

  /** One statement made of parts, each about a module, in every database for the modules that it has. */
  async #everywhere<R extends object>(part: (module: string) => string, statement: (parts: string) => string, params: readonly unknown[] = []): Promise<R[]> {
    const byUrl = [...Map.groupBy(await this.modules(), (module) => this.#apart?.[module] ?? this.#adminUrl)];
    return (await Promise.all(byUrl.map(async ([url, modules]) => this.#rowsAt<R>(url, statement(modules.map(part).join(' union all ')), params)))).flat();
  }

  /** Modules with an outbox. */
  async modules(): Promise<string[]> {
    if (this.#apart) return Object.keys(this.#apart);
    const rows = await this.rows<{ name: string }>(`select left(nspname, -7) as name from pg_namespace where nspname like '%\\_outbox' order by 1`);
    return rows.map(({ name }) => name);
  }

  /**
   * Waits until nothing is under way: no saga moves, no event waits, no money is in between, nothing is counted anew.
   * @returns what still is, when that takes too long
   */
  async untilAtRest(patienceMs = PATIENCE_MS): Promise<Violations> {
    return this.#untilIdle(async () => this.#everywhere<Busy>((module) => [busyIn(module), ...(BUSY_ELSE[module] ?? [])].join(' union all '), String), patienceMs);
  }

  /** @throws Error when something still is under way */
  async mustRest(): Promise<void> {
    const busy = await this.untilAtRest();
    if (busy.length > 0) throw new Error(`the shop does not come to rest: ${busy.join('; ')}`);
  }

  /** As `untilAtRest`, of one module. */
  async untilRelayed(module: string): Promise<Violations> {
    return this.#untilIdle(async () => this.#rowsAt<Busy>(this.#apart?.[module] ?? this.#adminUrl, busyIn(module), []), PATIENCE_MS);
  }

  async #untilIdle(look: () => Promise<Busy[]>, patienceMs: number): Promise<Violations> {
    const givenUpAt = performance.now() + patienceMs;
    for (;;) {
      const rows = await look();
      if (rows.length === 0) return [];
      if (performance.now() > givenUpAt) return rows.map(({ what }) => what);
      await sleep(LOOK_EVERY_MS);
    }
  }

  /**
   * Those of the ids about which something is under way: a saga moves, or an event waits that mentions it.
   * @param aggregates ids of which only their own events count: those of products stand in every order
   */
  async busyAmong(ids: readonly string[], aggregates: readonly string[]): Promise<Set<string>> {
    const part = (module: string): string => `select id::text from ${module}_outbox.saga where id::text = any($1) and (status in ('running', 'compensating') or wake_at <= now())
        union all select wanted.id from ${module}_outbox.job, wanted where name = 'events' and state < 'active' and position(wanted.id in data::text) > 0
        union all select data->>'aggregateId' from ${module}_outbox.job where name = 'events' and state < 'active' and data->>'aggregateId' = any($2)
        union all select wanted.id from ${module}_outbox.event_delivery, wanted where state = 'waiting' and position(wanted.id in envelope::text) > 0
        union all select aggregate_id from ${module}_outbox.event_delivery where state = 'waiting' and aggregate_id = any($2)`;
    const rows = await this.#everywhere<{ id: string }>(part, (parts) => `with wanted as (select unnest($1::text[]) as id) select distinct id from (${parts}) as busy`, [ids, aggregates]);
    return new Set(rows.map(({ id }) => id));
  }

  async deadLetters(): Promise<Violations> {
    const modules = await this.modules();
    const dead = modules.map((module) => `select subscriber || ' gave up ' || event_id || ': ' || coalesce(last_error, '') as what from ${module}_outbox.event_delivery where state = 'dead'`);
    return (await this.rows<{ what: string }>(dead.join(' union all '))).map(({ what }) => what);
  }

  async stock(): Promise<Violations> {
    return this.#violations('stock does not add up', STOCK);
  }

  async money(): Promise<Violations> {
    return [
      ...(await this.#violations('an order is charged and booked differently', ORDER_MONEY)),
      ...(await this.#violations('a ledger transaction does not balance', `select transaction_id from payments.ledger_entry group by transaction_id, currency having sum(debit) <> sum(credit)`)),
    ];
  }

  /** Reservation, money and parcel of each order are as its status says. */
  async orders(): Promise<Violations> {
    return this.#violations('an order is not as its status says', ORDERS);
  }

  /** Each state change has its event, once. */
  async events(): Promise<Violations> {
    const found = await Promise.all(Object.entries(EVENTS).map(async ([what, sql]) => this.#violations(what, sql)));
    return found.flat();
  }

  /** The counts of recommendations are those that the orders' own tables come to, pair by pair. */
  async boughtTogether(): Promise<Violations> {
    return this.#violations('a pair is counted wrongly', PAIRS);
  }

  /** Each event was handled by each subscriber that handles its type, and each order told of. That no message is made twice is a key of its table. */
  async handled(subscriptions: readonly Subscription[]): Promise<Violations> {
    const pairs = subscriptions.flatMap(({ subscriber, types }) => types.map((type) => ({ subscriber, type })));
    if (pairs.length === 0) return ['nobody handles any event'];
    const modules = await this.modules();
    const events = modules.map((module) => `select data->>'id' as id, data->>'type' as type from ${module}_outbox.job where name = 'events'`).join(' union all ');
    const inboxes = modules.map((module) => `select subscriber, event_id::text as id from ${module}_outbox.inbox`).join(' union all ');
    const missed = `with event as materialized (${events}), handled as materialized (${inboxes}),
        wanted as (select * from unnest($1::text[], $2::text[]) as w (subscriber, type))
      select subscriber, type, id from event join wanted using (type) except select subscriber, type, id from handled join event using (id)`;
    return [...(await this.#violations('an event was not handled', missed, [pairs.map(({ subscriber }) => subscriber), pairs.map(({ type }) => type)])), ...(await this.#violations('an order has no confirmation', UNTOLD))];
  }

  async #violations(what: string, sql: string, params: readonly unknown[] = []): Promise<Violations> {
    return (await this.rows(sql, params)).map((row) => `${what}: ${JSON.stringify(row)}`);
  }
}

function busyIn(module: string): string {
  return `(select '${module}: saga ' || id || ' is ' || status || ' at ' || step || coalesce(', ' || last_error, '') as what from ${module}_outbox.saga where status in ('running', 'compensating') limit 5)
    union all (select '${module}: event ' || id || ' is not done' from ${module}_outbox.job where name = 'events' and state < 'active' limit 5)
    union all (select '${module}: event ' || event_id || ' waits for ' || subscriber || coalesce(', ' || last_error, '') from ${module}_outbox.event_delivery where state = 'waiting' limit 5)`;
}

const BUSY_ELSE: Readonly<Record<string, readonly string[]>> = {
  payments: [`(select 'payment ' || id || ' is pending' from payments.payment where status = 'pending' limit 5)`, `(select 'refund ' || id || ' is pending' from payments.refund where status = 'pending' limit 5)`],
  recommendations: [`(select 'counting ' || id || ' is running' from recommendations.counting where status = 'running' limit 5)`],
  notifications: [`(select 'message ' || id || ' is queued' from notifications.notification where status = 'queued' limit 5)`, `(select 'orders is to be told of a message' from notifications.order_report limit 1)`],
};

const STOCK = `
  with line as (select status, unnest(product_ids) as product_id, unnest(quantities) as quantity from inventory.reservation),
  sums as (
    select product_id, on_hand, reserved,
      coalesce((select sum(quantity) from line l where l.product_id = s.product_id and status = 'reserved'), 0) as held,
      coalesce((select sum(quantity) from line l where l.product_id = s.product_id and status = 'committed'), 0) as gone,
      coalesce((select sum(delta) from inventory.adjustment a where a.product_id = s.product_id), 0) as put
    from inventory.stock s)
  select * from sums where reserved <> held or on_hand <> put - gone or reserved > on_hand`;

/** The processor's books, the payments and the ledger tell the same story, order by order, and no order is charged twice. */
const ORDER_MONEY = `
  with processor as (
    select p.order_id, count(*) as charges, sum(c.amount) as taken,
      sum((select coalesce(sum(amount), 0) from payments.simulator_refund r where r.transaction_id = c.transaction_id)) as back
    from payments.simulator_charge c left join payments.payment p on p.id::text = c.key where c.outcome = 'approved' group by 1),
  paid as (
    select order_id, sum(amount) as taken, sum(refunded) as back, sum(refunding) as due
    from payments.payment where status in ('completed', 'partially_refunded', 'refunded') group by 1),
  booked as (
    select order_id, sum(credit) filter (where account = 'sales') as taken, coalesce(sum(debit) filter (where account = 'refunds'), 0) as back,
      sum(debit - credit) filter (where account = 'gateway_receivable') as receivable
    from payments.ledger_entry group by 1)
  select order_id, to_jsonb(processor) as processor, to_jsonb(paid) as paid, to_jsonb(booked) as booked
  from processor full join paid using (order_id) full join booked using (order_id)
  where processor.charges is distinct from 1 or paid.due is distinct from 0
    or processor.taken is distinct from paid.taken or processor.back is distinct from paid.back
    or paid.taken is distinct from booked.taken or paid.back is distinct from booked.back
    or booked.receivable is distinct from processor.taken - processor.back`;

const ORDERS = `
  select * from (
    select o.id, o.status, r.status as stock, s.status as parcel, coalesce(p.kept, 0) as kept, p.order_id is not null as paid
    from orders.customer_order o left join inventory.reservation r on r.order_id = o.id left join shipping.shipment s on s.order_id = o.id
    left join (select order_id, sum(amount - refunded) as kept from payments.payment where status in ('completed', 'partially_refunded', 'refunded') group by 1) p on p.order_id = o.id
  ) whole where not case
    when status in ('confirmed', 'shipped', 'delivered') then paid and stock = 'committed' and parcel = (case status when 'confirmed' then 'preparing' when 'shipped' then 'dispatched' else 'delivered' end)
    when status = 'awaiting_payment' then not paid and stock = 'reserved' and parcel is null
    when status in ('cancelled', 'rejected') then kept = 0 and coalesce(stock, 'released') in ('released', 'out_of_stock', 'expired') and coalesce(parcel, 'cancelled') in ('cancelled', 'refused')
    else false end`;

const PAIRS = `
  with bought as (
    select a.product_id, b.product_id as companion_id, count(*)::int as orders
    from orders.customer_order o join orders.order_item a on a.order_id = o.id join orders.order_item b on b.order_id = o.id and a.product_id <> b.product_id
    where o.status in ('confirmed', 'shipped', 'delivered') group by 1, 2),
  counted as (
    select product_id, companion_id, orders from recommendations.pair
    where orders > 0 and counting_id = (select id from recommendations.counting where status = 'current'))
  select product_id, companion_id, counted.orders as counted, bought.orders as bought
  from bought full join counted using (product_id, companion_id) where counted.orders is distinct from bought.orders`;

/**
 * Entities for which the number of their events is not what it should be, events of nothing included.
 * @param of field of the event's data that names the entity
 * @param wanted statement with id, least and most
 */
function eventsBeside(type: string, of: string, wanted: string): string {
  const module = type.slice(0, type.indexOf('.'));
  return `with event as (select data->'data'->>'${of}' as id, count(*) as events from ${module}_outbox.job where name = 'events' and data->>'type' = '${type}.v1' group by 1),
      wanted as (${wanted})
    select coalesce(wanted.id::text, event.id) as id, coalesce(events, 0) as events, least, most from wanted full join event on event.id = wanted.id::text
    where coalesce(events, 0) not between coalesce(least, 0) and coalesce(most, 0)`;
}

/** Statement for `eventsBeside`: one event where the condition holds, and none elsewhere. */
function oneIf(condition: string, table: string): string {
  return `select id, (${condition})::int as least, (${condition})::int as most from ${table}`;
}

const EVENTS: Readonly<Record<string, string>> = {
  'an order has not one event of its beginning': eventsBeside('orders.order-placed', 'orderId', oneIf('true', 'orders.customer_order')),
  'an order has not one event of its confirmation': eventsBeside('orders.order-confirmed', 'orderId', `select id, (status in ('confirmed', 'shipped', 'delivered'))::int as least, 1 as most from orders.customer_order`),
  'an order has not one event of its dispatch': eventsBeside('orders.order-shipped', 'orderId', `select id, (status = 'shipped')::int as least, 1 as most from orders.customer_order`),
  'an order has not one event of its end': eventsBeside('orders.order-cancelled', 'orderId', oneIf(`status in ('cancelled', 'rejected')`, 'orders.customer_order')),
  'a payment has not one event of its success': eventsBeside('payments.payment-completed', 'paymentId', oneIf(`status in ('completed', 'partially_refunded', 'refunded')`, 'payments.payment')),
  'a payment has not one event of its failure': eventsBeside('payments.payment-failed', 'paymentId', oneIf(`status in ('declined', 'failed')`, 'payments.payment')),
  'a refund has not one event': eventsBeside('payments.payment-refunded', 'refundId', oneIf(`status = 'completed'`, 'payments.refund')),
  'a parcel has not one event of its dispatch': eventsBeside('shipping.shipment-dispatched', 'shipmentId', oneIf('dispatched_at is not null', 'shipping.shipment')),
  'a parcel has not one event of its arrival': eventsBeside('shipping.shipment-delivered', 'shipmentId', oneIf('delivered_at is not null', 'shipping.shipment')),
};

const UNTOLD = `
  with placed as (select data->>'aggregateId' as id, data->>'id' as event_id from orders_outbox.job where name = 'events' and data->>'type' = 'orders.order-placed.v1'),
    told as (select event_id::text as event_id, count(*) as messages from notifications.notification where channel = 'email' group by 1)
  select o.id, coalesce(messages, 0) as messages from orders.customer_order o left join placed on placed.id = o.id::text left join told using (event_id) where messages is distinct from 1`;

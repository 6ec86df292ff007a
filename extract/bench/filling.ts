/** Fills the database of a shop with the trade of years, in SQL: what it holds is what the shop would have written itself. */
import pg from 'pg';

export interface Filling {
  readonly products: number;
  readonly users: number;
  readonly orders: number;
  /** Brands, of which each product has one. */
  readonly brands: readonly string[];
}

/** Ids sort by time (UUID version 7), as all the shop's do. */
const ID = `create function pg_temp.id_at(at timestamptz, salt text) returns uuid language sql immutable as $$
  select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || substr(md5(salt), 1, 3) || '8' || substr(md5(salt), 4, 15))::uuid $$`;

const YEARS = `interval '3 years'`;

/** @returns ids of the products, in the order of their making */
export async function fill(databaseUrl: string, filling: Filling): Promise<string[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  // The rows fit each other by construction; checking each against its neighbours would take minutes.
  await client.query(`set session_replication_role = replica; set synchronous_commit = off; set maintenance_work_mem = '512MB'`);
  await client.query(ID);
  await withoutIndexes(client, async () => {
    await fillCatalog(client, filling);
    await fillUsers(client, filling);
    await fillOrders(client, filling);
    await fillRecommendations(client);
  });
  await fillKept(client);
  await client.query('vacuum analyze');
  const { rows } = await client.query<{ id: string }>('select id from made order by n');
  await client.end();
  return rows.map(({ id }) => id);
}

/** Makes the modules' indexes, keys aside, anew afterwards: kept up to date row by row, that of the search alone takes minutes. */
async function withoutIndexes(client: pg.Client, work: () => Promise<void>): Promise<void> {
  const { rows } = await client.query<{ name: string; definition: string }>(
    `select format('%I.%I', schemaname, indexname) as name, indexdef as definition
     from pg_indexes join pg_index on indexrelid = format('%I.%I', schemaname, indexname)::regclass
     where schemaname !~ '^pg_|_outbox$' and not exists (select from pg_constraint where conindid = indexrelid)`,
  );
  for (const { name } of rows) await client.query(`drop index ${name}`);
  await work();
  for (const { definition } of rows) await client.query(definition);
}

/** Each product is one of the demo's under a brand. */
async function fillCatalog(client: pg.Client, { products, brands }: Filling): Promise<void> {
  await client.query(
    `create temporary table made as select n, pg_temp.id_at(at, 'product ' || n) as id, at, brands[1 + n % cardinality(brands)] as brand, n % demos as demo
     from (select $2::text[] as brands, (select count(*) from catalog.product) as demos) as given,
       generate_series(1, $1::int) as n, lateral (select now() - ${YEARS} * (1 - n / ($1 + 1)::float8) as at) as moment`,
    [products, brands],
  );
  await client.query('create unique index on made (n)');
  await client.query(
    `insert into catalog.product (id, name, description, price_amount, price_currency, category_id, created_at, updated_at)
     select made.id, brand || ' ' || name, description, 100 + (price_amount * (50 + n % 100)) / 100, price_currency, category_id, at, at
     from made join (select *, row_number() over (order by id) - 1 as demo from catalog.product) as demo using (demo)`,
  );
  await client.query(`insert into catalog.word (word, stem) select word, (tsvector_to_array(to_tsvector('pg_catalog.english', word)))[1] from unnest($1::text[]) as word on conflict do nothing`, [brands]);
  await client.query('insert into inventory.stock (product_id, on_hand) select id, 1000000000 from made');
}

async function fillUsers(client: pg.Client, { users }: Filling): Promise<void> {
  await client.query(
    `insert into users.account (id, username, username_key, email, role, password_hash, created_at)
     select pg_temp.id_at(at, 'user ' || n), 'resident' || n, 'resident' || n, 'resident' || n || '@example.com', 'customer', 'none: nobody signs in', at
     from generate_series(1, $1::int) as n, lateral (select now() - ${YEARS} * (1 - n / ($1 + 1)::float8) as at) as moment`,
    [users],
  );
}

/** Orders of two products each that have been paid and delivered, with what each leaves in the modules. */
async function fillOrders(client: pg.Client, { orders, products }: Filling): Promise<void> {
  await client.query(
    `create temporary table placed as
     select series.n, moment.at, pg_temp.id_at(moment.at, 'order ' || series.n) as id, pg_temp.id_at(moment.at, 'payment ' || series.n) as payment_id,
       customers[1 + series.n % cardinality(customers)] as customer_id, one.id as one, other.id as other, one.brand as name
     from (select array(select id from users.account where username_key like 'resident%' order by id) as customers) as given,
       generate_series(1, $1::bigint) as series (n), lateral (select now() - ${YEARS} * (1 - series.n / ($1 + 1)::float8) as at) as moment,
       lateral (select id, brand from made where made.n = 1 + series.n * 7919 % $2) as one,
       lateral (select id from made where made.n = 1 + (series.n * 7919 + 1) % $2) as other`,
    [orders, products],
  );
  for (const statement of [
    `insert into orders.customer_order (id, customer_id, status, total, currency, pays_later, shipping_address, created_at, updated_at)
     select id, customer_id, 'delivered', 2000, 'USD', false, '{"name":"A Resident","line1":"1 Long Street","city":"London","postalCode":"W1 2AB","country":"GB"}', at, at from placed`,
    `insert into orders.order_item (order_id, line, product_id, name, quantity, unit_price)
     select id, line, case line when 1 then one else other end, name, 1, 1000 from placed, generate_series(1, 2) as line`,
    `insert into orders.order_event (id, order_id, event, detail, at)
     select pg_temp.id_at(at + part * interval '1 hour', 'event ' || n || ' ' || part), id, kind, '', at + part * interval '1 hour'
     from placed, unnest(array['order_placed', 'stock_reserved', 'order_paid', 'order_confirmed', 'order_shipped', 'order_delivered']) with ordinality as happened (kind, part)`,
    `insert into inventory.reservation (order_id, status, product_ids, quantities, created_at, settled_at) select id, 'committed', array[one, other], '{1,1}', at, at from placed`,
    `insert into payments.payable (order_id, customer_id, amount, currency, status, created_at, updated_at) select id, customer_id, 2000, 'USD', 'paid', at, at from placed`,
    `insert into payments.payment (id, order_id, customer_id, amount, currency, status, origin, transaction_id, created_at, updated_at)
     select payment_id, id, customer_id, 2000, 'USD', 'completed', 'fulfilment', 'txn_' || n, at, at from placed`,
    `insert into payments.ledger_entry (id, transaction_id, account, order_id, payment_id, debit, credit, currency, created_at)
     select pg_temp.id_at(at, account || n), payment_id, account, id, payment_id, debit, 2000 - debit, 'USD', at
     from placed, (values ('gateway_receivable', 2000), ('sales', 0)) as side (account, debit)`,
    `insert into shipping.shipment (id, order_id, status, customer_id, tracking_number, address, items, created_at, dispatched_at, delivered_at)
     select pg_temp.id_at(at, 'shipment ' || n), id, 'delivered', customer_id, 'T' || n, '{}', '[]', at, at, at from placed`,
    `insert into notifications.notification (id, event_id, channel, user_id, recipient, subject, body, status, due_at, created_at, sent_at)
     select pg_temp.id_at(at, 'mail ' || n), pg_temp.id_at(at, 'mail ' || n), 'email', customer_id, 'resident@example.com', 'We received your order', 'Thank you.', 'sent', at, at, at from placed`,
  ]) await client.query(statement);
}

/** What the counting of a new shop has counted since. */
async function fillRecommendations(client: pg.Client): Promise<void> {
  await client.query(`insert into recommendations.basket (counting_id, order_id, status, product_ids) select counting.id, placed.id, 'counted', array[one, other] from placed, recommendations.counting where counting.status = 'current'`);
  await client.query(
    `insert into recommendations.pair (counting_id, product_id, companion_id, orders)
     select counting.id, product_id, companion_id, count(*) from placed, recommendations.counting, lateral (values (one, other), (other, one)) as pair (product_id, companion_id)
     where counting.status = 'current' group by 1, 2, 3`,
  );
}

/** What the kernel keeps of these orders, as long as it does (src/host/retention.ts, src/database/kernel-tables.ts): sagas, events, what has been handled. */
async function fillKept(client: pg.Client): Promise<void> {
  await client.query(
    `create temporary table happened as
     select pg_temp.id_at(at + part * interval '1 hour', publisher || ' ' || type || ' ' || n) as event_id, id as order_id, publisher, type, subscribers, at + part * interval '1 hour' as at
     from placed, (values
       ('orders', 'orders.order-placed.v1', 0, '{notifications.customer-messages}'::text[]),
       ('payments', 'payments.payment-completed.v1', 1, '{notifications.customer-messages,orders.fulfilment}'),
       ('orders', 'orders.order-confirmed.v1', 2, '{recommendations.bought-together}'),
       ('shipping', 'shipping.shipment-dispatched.v1', 3, '{orders.fulfilment}'),
       ('orders', 'orders.order-shipped.v1', 4, '{notifications.customer-messages}'),
       ('shipping', 'shipping.shipment-delivered.v1', 5, '{orders.fulfilment}'),
       ('orders', 'orders.order-delivered.v1', 6, '{}')) as event (publisher, type, part, subscribers)
     where at > now() - interval '30 days'`,
  );
  const perPublisher = ['orders', 'payments', 'shipping'].map((publisher) =>
    `insert into ${publisher}_outbox.job (id, name, state, data, created_on, started_on, completed_on)
     select event_id, 'events', 'completed', jsonb_build_object('id', event_id, 'type', type, 'aggregateId', order_id, 'occurredAt', at, 'data', jsonb_build_object('orderId', order_id),
       'traceparent', '00-' || md5(event_id::text) || '-' || left(md5(type), 16) || '-01', 'requestId', event_id), at, at, at
     from happened where publisher = '${publisher}' and at > now() - interval '7 days'`);
  const perReader = ['orders', 'notifications', 'recommendations'].map((reader) =>
    `insert into ${reader}_outbox.inbox (subscriber, event_id, handled_at) select subscriber, event_id, at from happened, unnest(subscribers) as subscriber where subscriber like '${reader}.%'`);
  for (const statement of [
    `insert into orders_outbox.saga (name, id, status, step, trail, data, version, traceparent, request_id, created_at, updated_at)
     select 'fulfilment', id, 'finished', 'dispatch', '{reserve,charge,commit,ship}', jsonb_build_object('orderId', id, 'customerId', customer_id, 'total', jsonb_build_object('amount', 2000, 'currency', 'USD'),
       'items', jsonb_build_array(jsonb_build_object('productId', one, 'name', name, 'quantity', 1), jsonb_build_object('productId', other, 'name', name, 'quantity', 1))), 7, '', '', at, at
     from placed where at > now() - interval '90 days'`,
    ...perPublisher,
    ...perReader,
  ]) await client.query(statement);
}

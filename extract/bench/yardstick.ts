/**
 * The yardstick: what one would write by hand in a single file with Fastify and prepared `pg`, without modules,
 * ORM, contracts or kernel. It answers the same routes from the same tables, with the headers that the API names,
 * and sends the same statements through the same transactions, up to the moment when an order waits for its payment
 * and its mail is recorded. Products stay in memory for as long as the shop keeps them. It isolates nothing, watches
 * no deadline, measures nothing, retries nothing and forgets an order's fulfilment when it is killed.
 *
 *   order placed --commit--> fulfilment: reserve, history, open the payment, await it     (24 side by side)
 *                \--commit--> event: read from the outbox, mail recorded, job completed   (2 batches of 50)
 *
 * DATABASE_URL: a database that the shop has provisioned. JWT_PUBLIC_KEY: verifies the tokens, PEM.
 */
import { createHash, randomUUID } from 'node:crypto';
import jwt from '@fastify/jwt';
import Fastify, { type FastifyRequest } from 'fastify';
import pg from 'pg';

const { DATABASE_URL, JWT_PUBLIC_KEY } = process.env;

const CONNECTIONS = 24;
/** As many at a time as the shop's kernel moves on. */
const FULFILMENTS = 16;
const BATCHES = 2;
const BATCH = 50;
const IN_FLIGHT = 200;
const TTL_MS = 10_000;
const MINUTE_MS = 60_000;
const JSON_TYPE = 'application/json; charset=utf-8';

type Money = { amount: number; currency: string };
type Line = { productId: string; quantity: number };
type PricedLine = Line & { name: string; unitPrice: Money };

type Facts = { orderId: string; customerId: string; total: Money; items: PricedLine[] };

type Product = { id: string; name: string; price: Money; json: string; etag: string };

type OrderEvent = { id: string; data: Facts };

// Statements, each prepared once per connection.

pg.types.setTypeParser(pg.types.builtins.INT8, Number);
// Everything is looked up by an index, and read in its order: Cleave's outbox is, too (decision 0032).
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: CONNECTIONS, options: '-c enable_seqscan=off -c enable_bitmapscan=off' });
const names = new Map<string, string>();

async function run<R extends pg.QueryResultRow>(db: pg.Pool | pg.PoolClient, text: string, values: unknown[]): Promise<R[]> {
  let name = names.get(text);
  if (!name) names.set(text, (name = `y${names.size}`));
  return (await db.query<R>({ name, text, values })).rows;
}

async function inTransaction(work: (client: pg.PoolClient) => Promise<void>): Promise<void> {
  const client = await pool.connect();
  try {
    await run(client, 'begin', []);
    await work(client);
    await run(client, 'commit', []);
  } catch (error) {
    await client.query('rollback');
    throw error;
  } finally {
    client.release();
  }
}

function uuidv7(): string {
  const time = Date.now().toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`;
}

// Products.

interface ProductRow {
  id: string;
  name: string;
  description: string;
  price_amount: number;
  price_currency: string;
  category_id: string | null;
  created_at: Date;
  updated_at: Date;
  sort_key: number;
}

const PRODUCT = 'select id, name, description, price_amount, price_currency, category_id, created_at, updated_at';
const ONE = `${PRODUCT} from catalog.product where id = any ($1::uuid[]) and deleted_at is null`;
const NEWEST = `${PRODUCT}, (extract(epoch from created_at) * 1000)::bigint as sort_key from catalog.product
  where deleted_at is null order by created_at desc, id desc limit $1`;

function shown(row: ProductRow) {
  return {
    id: row.id,
    name: row.name,
    description: row.description,
    price: { amount: row.price_amount, currency: row.price_currency },
    categoryId: row.category_id,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}

/** Answers from memory what was loaded less than TTL_MS ago. */
function remembered<V>(load: (key: string) => Promise<V | undefined>): (key: string) => V | undefined | Promise<V | undefined> {
  const known = new Map<string, { value: V; until: number }>();
  return (key) => {
    const entry = known.get(key);
    if (entry && entry.until > performance.now()) return entry.value;
    return load(key).then((value) => {
      if (value !== undefined) known.set(key, { value, until: performance.now() + TTL_MS });
      return value;
    });
  };
}

const productById = remembered<Product>(async (id) => {
  const [row] = await run<ProductRow>(pool, ONE, [[id]]);
  if (!row) return undefined;
  const view = shown(row);
  const json = JSON.stringify(view);
  return { id, name: view.name, price: view.price, json, etag: `"${createHash('sha256').update(json).digest('base64url').slice(0, 22)}"` };
});

const firstPage = remembered<string>(async (limit) => {
  const rows = await run<ProductRow>(pool, NEWEST, [Number(limit) + 1]);
  const page = rows.slice(0, Number(limit));
  const last = rows.length > page.length ? page.at(-1) : undefined;
  const nextCursor = last ? Buffer.from(JSON.stringify(['newest', last.sort_key, last.id])).toString('base64url') : null;
  return JSON.stringify({ items: page.map(shown), nextCursor });
});

// Placing an order.

const INSERT_ORDER = `with placed as (
    insert into orders.customer_order (id, customer_id, status, total, currency, pays_later, shipping_address, created_at, updated_at)
    values ($1, $2, 'pending', $3, $4, true, $5, $6, $6)
  ), lines as (
    insert into orders.order_item (order_id, line, product_id, name, quantity, unit_price)
    select $1, row_number() over (), * from unnest($7::uuid[], $8::text[], $9::int[], $10::bigint[])
  ) insert into orders.order_event (id, order_id, event, detail, at) values ($11, $1, 'order_placed', $12, $6)`;
const INSERT_SAGA = `insert into orders_outbox.saga (name, id, status, step, trail, data, wake_at, traceparent, request_id)
  values ('fulfilment', $1, 'running', 'reserve', '{reserve}', $2, now(), $3, $4)`;

/** The queue's own table, as pg-boss writes it; routing a row through the partitioned one costs more. */
const { rows: queues } = await pool.query<{ table_name: string; retention_seconds: number; deletion_seconds: number; expire_seconds: number; retry_limit: number }>(
  `select table_name, retention_seconds, deletion_seconds, expire_seconds, retry_limit from orders_outbox.queue where name = 'events'`,
);
const queue = queues[0]!;
const JOBS = `orders_outbox.${queue.table_name}`;
const INSERT_EVENT = `insert into ${JOBS} (id, name, data, policy, start_after, created_on, keep_until, expire_seconds, deletion_seconds, retry_limit)
  values ($1, 'events', $2, 'standard', now(), now(), now() + ${queue.retention_seconds} * interval '1s', ${queue.expire_seconds}, ${queue.deletion_seconds}, ${queue.retry_limit})`;

type OrderRequest = { items: Line[]; shippingAddress: object };
type Origin = { traceparent: string; requestId: string };

async function price(items: readonly Line[]): Promise<PricedLine[]> {
  const quantities = new Map<string, number>();
  for (const { productId, quantity } of items) quantities.set(productId, (quantities.get(productId) ?? 0) + quantity);
  const products = await Promise.all([...quantities.keys()].map(async (id) => productById(id)));
  if (products.includes(undefined)) throw Object.assign(new Error('PRODUCT_NOT_FOUND'), { statusCode: 422 });
  return products.map((product) => ({ productId: product!.id, quantity: quantities.get(product!.id)!, name: product!.name, unitPrice: product!.price }));
}

async function place(customerId: string, request: OrderRequest, { traceparent, requestId }: Origin) {
  const items = await price(request.items);
  const total = { amount: items.reduce((sum, { quantity, unitPrice }) => sum + quantity * unitPrice.amount, 0), currency: items[0]!.unitPrice.currency };
  const id = uuidv7();
  const at = new Date();
  const facts: Facts = { orderId: id, customerId, total, items };
  const reservedUntil = new Date(at.getTime() + 45 * MINUTE_MS).toISOString();
  const sagaData = JSON.stringify({ ...facts, address: request.shippingAddress, reservedUntil });
  await inTransaction(async (client) => {
    await run(client, INSERT_ORDER, [
      id, customerId, total.amount, total.currency, JSON.stringify(request.shippingAddress), at,
      items.map(({ productId }) => productId), items.map(({ name }) => name), items.map(({ quantity }) => quantity),
      items.map(({ unitPrice }) => unitPrice.amount), uuidv7(), `${items.length} ${items.length === 1 ? 'product' : 'products'}`,
    ]);
    await run(client, INSERT_SAGA, [id, sagaData, traceparent, requestId]);
    const event = { id: uuidv7(), type: 'orders.order-placed.v1', aggregateId: id, occurredAt: new Date().toISOString(), data: facts, traceparent, requestId };
    await run(client, INSERT_EVENT, [event.id, JSON.stringify(event)]);
  });
  waiting.push(() => fulfil(facts, reservedUntil));
  work();
  const times = { createdAt: at.toISOString(), updatedAt: at.toISOString() };
  return { id, customerId, items, total, status: 'pending', statusReason: null, shippingAddress: request.shippingAddress, ...times };
}

// Fulfilment up to the payment.

const RESERVE = `with line as (
    select product_id, quantity from unnest((select $2::uuid[]), (select $3::bigint[])) as line (product_id, quantity)
  ), held as materialized (
    select product_id, on_hand - reserved as available from inventory.stock
    where product_id in (select product_id from line) and not exists (select from inventory.reservation where order_id = $1)
    order by product_id for no key update
  ), short as (
    select line.product_id from line left join held using (product_id) where coalesce(held.available, 0) < line.quantity
  ), entry as (
    insert into inventory.reservation (order_id, status, product_ids, quantities, missing, expires_at)
    select $1, case when exists (select from short) then 'out_of_stock' else 'reserved' end, $2::uuid[], $3::bigint[],
      array(select product_id from short order by product_id), $4::timestamptz
    on conflict (order_id) do nothing returning status, missing
  ), taken as (
    update inventory.stock set reserved = stock.reserved + line.quantity from line
    where stock.product_id = line.product_id and (select status from entry) = 'reserved'
  ) select status, missing from entry`;
const HISTORY = 'insert into orders.order_event (id, order_id, event, detail, at) values ($1, $2, $3, $4, $5)';
const MOVE_SAGA = `update orders_outbox.saga set status = $2, step = $3, trail = $4, data = coalesce($5, data), attempts = 0, failing_since = null,
    last_error = null, wake_at = now() + $6::float8 * interval '1 ms', version = version + 1, updated_at = now()
  where name = 'fulfilment' and id = $1`;
const OPEN_PAYMENT = `insert into payments.payable (order_id, customer_id, amount, currency, status) values ($1, $2, $3, $4, 'open')
  on conflict (order_id) do update set customer_id = coalesce(payable.customer_id, excluded.customer_id), amount = excluded.amount,
    currency = excluded.currency, updated_at = now() where payable.amount is null returning status`;
const AWAIT_PAYMENT = `with moved as (
    update orders.customer_order set status = 'awaiting_payment', updated_at = $3 where id = $1 and status = 'pending' returning id
  ) insert into orders.order_event (id, order_id, event, detail, at)
    select $2, id, 'awaiting_payment', 'Pay with POST /api/v1/payments', $3 from moved`;

async function fulfil({ orderId, customerId, total, items }: Facts, reservedUntil: string): Promise<void> {
  const sorted = items.toSorted((a, b) => (a.productId < b.productId ? -1 : 1));
  const [entry] = await run(pool, RESERVE, [orderId, sorted.map(({ productId }) => productId), sorted.map(({ quantity }) => quantity), reservedUntil]);
  if (entry?.['status'] !== 'reserved') throw new Error(`the order ${orderId} could not be reserved: the benchmark wants stock for all`);
  await inTransaction(async (client) => {
    await run(client, HISTORY, [uuidv7(), orderId, 'stock_reserved', `until ${reservedUntil}`, new Date()]);
    await run(client, MOVE_SAGA, [orderId, 'running', 'open', ['reserve', 'open'], null, 0]);
  });
  await run(pool, OPEN_PAYMENT, [orderId, customerId, total.amount, total.currency]);
  await inTransaction(async (client) => {
    await run(client, AWAIT_PAYMENT, [orderId, uuidv7(), new Date()]);
    await run(client, MOVE_SAGA, [orderId, 'waiting', 'payment', ['reserve', 'open'], null, 30 * MINUTE_MS]);
  });
}

// The event's one subscriber.

const PENDING = `select data from ${JOBS} where state < 'active' and id not in (select unnest($2::uuid[])) order by id limit $1`;
const CUSTOMER = 'select id, username, email, phone, role, password_hash, created_at from users.account where id = any ($1::uuid[])';
const INBOX = `insert into notifications_outbox.inbox (subscriber, event_id) select 'notifications.customer-messages', unnest($1::uuid[])
  on conflict do nothing returning event_id`;
const MAIL = `insert into notifications.notification (id, event_id, channel, user_id, recipient, subject, body, status, sent_at)
  values ($1, $2, 'email', $3, $4, $5, $6, 'sent', now()) on conflict (event_id, channel) do nothing`;
const COMPLETE = `update ${JOBS} set completed_on = now(), state = 'completed', output = $2::jsonb, blocked = false, pending_dependencies = 0
  where name = 'events' and id = any($1::uuid[]) and state < 'completed'`;

async function handle(batch: readonly OrderEvent[]): Promise<void> {
  const customers = await run<{ id: string; email: string }>(pool, CUSTOMER, [[...new Set(batch.map(({ data }) => data.customerId))]]);
  const emails = new Map(customers.map((customer) => [customer.id, customer.email]));
  await inTransaction(async (client) => {
    const fresh = new Set((await run(client, INBOX, [batch.map(({ id }) => id)])).map((row) => row['event_id'] as string));
    for (const { id, data } of batch) {
      if (fresh.has(id)) await run(client, MAIL, [uuidv7(), id, data.customerId, emails.get(data.customerId), ...letter(data)]);
    }
  });
  handled.push(...batch.map(({ id }) => id));
  complete().catch(fail);
}

const dollars = new Intl.NumberFormat('en-US', { style: 'currency', currency: 'USD' });

function letter({ orderId, total, items }: Facts): [subject: string, body: string] {
  const lines = items.map(({ quantity, name, unitPrice }) => `  ${quantity} x ${name}, ${dollars.format(unitPrice.amount / 100)} each`);
  const sum = `Total: ${dollars.format(total.amount / 100)}`;
  const body = ['Hello,', '', 'Thank you for your order:', ...lines, sum, 'We will write again when something happens to it.', '', `Order: ${orderId}`, ''];
  return [`We received your order ${orderId.slice(-8).toUpperCase()}`, body.join('\n')];
}

// What goes on behind the answers.

const waiting: (() => Promise<void>)[] = [];
const events: OrderEvent[] = [];
/** Events that were read and are not completed. */
const known = new Set<string>();
const handled: string[] = [];
const busy = { fulfilments: 0, batches: 0, reading: false, completing: false };
let more = false;

function work(): void {
  while (busy.fulfilments < FULFILMENTS && waiting.length > 0) {
    busy.fulfilments += 1;
    waiting.shift()!().then(() => {
      busy.fulfilments -= 1;
      work();
    }, fail);
  }
  more = true;
  readEvents().catch(fail);
}

async function readEvents(): Promise<void> {
  if (busy.reading) return;
  busy.reading = true;
  while (more && known.size < IN_FLIGHT) {
    more = false;
    const room = IN_FLIGHT - known.size;
    const rows = await run<{ data: OrderEvent }>(pool, PENDING, [room, [...known]]);
    for (const { data } of rows) {
      known.add(data.id);
      events.push(data);
    }
    handleEvents();
    more ||= rows.length === room;
  }
  busy.reading = false;
}

function handleEvents(): void {
  while (busy.batches < BATCHES && events.length > 0) {
    busy.batches += 1;
    handle(events.splice(0, BATCH)).then(() => {
      busy.batches -= 1;
      handleEvents();
    }, fail);
  }
}

/** One statement for all that is done; what is done meanwhile goes with the next one. */
async function complete(): Promise<void> {
  if (busy.completing) return;
  busy.completing = true;
  while (handled.length > 0) {
    const ids = handled.splice(0);
    await run(pool, COMPLETE, [ids, null]);
    for (const id of ids) known.delete(id);
    readEvents().catch(fail);
  }
  busy.completing = false;
}

function fail(error: unknown): never {
  process.stderr.write(`the yardstick broke: ${String(error)}\n`);
  process.exit(1);
}

// The routes.

const line = { type: 'string', minLength: 1, maxLength: 200 } as const;
const uuid = { type: 'string', pattern: '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' } as const;
const quantity = { type: 'integer', minimum: 1, maximum: 1_000 } as const;
const address = {
  type: 'object',
  required: ['name', 'line1', 'city', 'postalCode', 'country'],
  additionalProperties: false,
  properties: { name: line, line1: line, line2: line, city: line, postalCode: line, country: { type: 'string', pattern: '^[A-Z]{2}$' } },
} as const;
const orderLine = { type: 'object', required: ['productId', 'quantity'], additionalProperties: false, properties: { productId: uuid, quantity } } as const;
const orderBody = {
  type: 'object',
  required: ['items', 'shippingAddress'],
  additionalProperties: false,
  properties: { items: { type: 'array', minItems: 1, maxItems: 50, items: orderLine }, shippingAddress: address },
} as const;
const text = { type: 'string' } as const;
const money = { type: 'object', properties: { amount: { type: 'integer' }, currency: text } } as const;
const item = { type: 'object', properties: { productId: text, name: text, quantity: { type: 'integer' }, unitPrice: money } } as const;
const orderReply = {
  type: 'object',
  properties: {
    id: text, customerId: text, items: { type: 'array', items: item }, total: money, status: text,
    statusReason: { type: 'string', nullable: true }, shippingAddress: address, createdAt: text, updatedAt: text,
  },
} as const;

const app = Fastify({ genReqId: ({ headers }) => String(headers['x-request-id'] ?? randomUUID()) });
const token = { algorithms: ['RS256' as const], allowedIss: 'cleave', allowedAud: 'cleave-api', cache: 1_000 };
await app.register(jwt, { secret: { public: JWT_PUBLIC_KEY! }, verify: token });

app.decorateRequest('traceparent', '');
app.addHook('onRequest', (request, reply, done) => {
  const { traceparent = `00-${randomUUID().replaceAll('-', '')}-${randomUUID().replaceAll('-', '').slice(16)}-01` } = request.headers;
  Object.assign(request, { traceparent });
  reply.header('x-request-id', request.id).header('traceparent', traceparent);
  done();
});

app.get('/api/v1/products/:id', { schema: { params: { type: 'object', properties: { id: uuid } } } }, async (request: FastifyRequest<{ Params: { id: string } }>, reply) => {
  const found = productById(request.params.id);
  const product = found instanceof Promise ? await found : found;
  if (!product) return reply.code(404).send({ code: 'PRODUCT_NOT_FOUND' });
  const { etag, json } = product;
  if (request.headers['if-none-match'] === etag) return reply.code(304).send();
  return reply.header('etag', etag).header('content-type', JSON_TYPE).send(json);
});

const limit = { type: 'integer', minimum: 1, maximum: 100, default: 20 } as const;
app.get('/api/v1/products', { schema: { querystring: { type: 'object', properties: { limit } } } }, async (request: FastifyRequest<{ Querystring: { limit: number } }>, reply) => {
  return reply.header('content-type', JSON_TYPE).send(await firstPage(String(request.query.limit)));
});

app.post('/api/v1/orders', { schema: { body: orderBody, response: { 201: orderReply } } }, async (request: FastifyRequest<{ Body: OrderRequest }>, reply) => {
  const claims = app.jwt.verify<{ sub: string; role: string }>((request.headers.authorization ?? '').slice('Bearer '.length));
  if (claims.role !== 'customer') return reply.code(403).send({ code: 'FORBIDDEN' });
  const { traceparent } = request as unknown as Origin;
  return reply.code(201).send(await place(claims.sub, request.body, { traceparent, requestId: request.id }));
});

const url = await app.listen({ port: 0, host: '127.0.0.1' });
process.stdout.write(`The yardstick listens on ${url}\n`);
process.once('SIGTERM', () => void app.close().then(() => process.exit(0)));

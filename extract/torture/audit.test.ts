/** The audit of a tortured shop finds what it is there to find: each thing that must not be is done to the database by hand. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo } from 'node:net';
import { createServer } from 'node:http';
import t from 'tap';
import { testShop } from '#testing';
import { Api } from './api.testing.ts';
import { audit } from './audit.testing.ts';
import { Books } from './books.testing.ts';
import { Customers } from './customers.testing.ts';
import { Journal, type Wish } from './journal.testing.ts';
import { Random } from './random.testing.ts';
import { administrator } from './real-shop.testing.ts';
import { setStage } from './stage.testing.ts';

const shop = await testShop(t, { settings: { PAYMENT_TIMEOUT: '24h' } });
const books = new Books(shop.adminUrl);
t.teardown(async () => books.close());
const journal = new Journal();
const api = new Api({ url: shop.url, complain: (complaint) => journal.complain(complaint) });
const stage = await setStage(api, administrator, { customers: 1, products: 2 });

async function violationsOf(claim: string): Promise<readonly string[]> {
  const found = (await audit(books, journal, stage)).find((finding) => finding.claim === claim);
  return found!.violations;
}

/** Whether the audit says something of this claim afterwards that it did not say before. */
async function findsMore(claim: string, harm: () => Promise<unknown>): Promise<boolean> {
  const before = new Set(await violationsOf(claim));
  await harm();
  return (await violationsOf(claim)).some((violation) => !before.has(violation));
}

const placedEvents = `from orders_outbox.job where name = 'events' and data->>'type' = 'orders.order-placed.v1' and data->>'aggregateId' = $1`;

/** What is done to an order, and the claim that must name it then. Nothing is undone: each takes another order. */
const vandalism: readonly { readonly claim: string; readonly status: string; readonly sql: string }[] = [
  { claim: 'the books agree with what was acknowledged', status: 'confirmed', sql: `update inventory.stock set on_hand = on_hand + 1 where $1::text is not null` },
  { claim: 'the books agree with what was acknowledged', status: 'confirmed', sql: `update payments.payment set refunded = 0, status = 'completed' where status like '%refunded' and $1::text is not null` },
  { claim: 'nothing was done twice, and nothing that was refused', status: 'confirmed', sql: `insert into orders.customer_order select gen_random_uuid(), customer_id, status, status_reason, total, currency, pays_later, shipping_address, created_at, updated_at from orders.customer_order where id = $1` },
  { claim: 'each state change has its event, once', status: 'confirmed', sql: `delete ${placedEvents}` },
  { claim: 'each state change has its event, once', status: 'delivered', sql: `insert into orders_outbox.job (name, data, state) select name, data, state ${placedEvents}` },
  { claim: 'each event was handled, once', status: 'confirmed', sql: `delete from notifications_outbox.inbox where event_id::text = (select data->>'id' ${placedEvents})` },
  { claim: 'each event was handled, once', status: 'awaiting_payment', sql: `delete from notifications.notification where event_id::text = (select data->>'id' ${placedEvents})` },
  // Of all orders: nothing is left that tells that this subscriber handles events of that type.
  { claim: 'each event was handled, once', status: 'confirmed', sql: `delete from recommendations_outbox.inbox where $1::text is not null` },
  { claim: 'what was bought together is counted as the orders say', status: 'confirmed', sql: `update recommendations.pair set orders = orders + 1 where $1::text is not null` },
  { claim: 'stock, money and parcels add up', status: 'confirmed', sql: `update inventory.reservation set status = 'released' where order_id = $1` },
  { claim: 'stock, money and parcels add up', status: 'confirmed', sql: `update payments.payment set refunded = 1, status = 'partially_refunded' where order_id = $1 and transaction_id is not null` },
  { claim: 'stock, money and parcels add up', status: 'awaiting_payment', sql: `insert into payments.simulator_charge (key, outcome, transaction_id, message, amount, currency) select gen_random_uuid(), 'approved', $1, '', 1, 'USD'` },
  { claim: 'the books agree with what was acknowledged', status: 'cancelled', sql: `update orders.customer_order set status = 'confirmed' where id = $1` },
  { claim: 'no acknowledged order is lost', status: 'confirmed', sql: `update orders.customer_order set total = total + 1 where id = $1` },
];

/** What the client's own log says that is not so: the same as if the shop had done otherwise. */
const lies: readonly { readonly claim: string; readonly what: string; readonly tell: () => void }[] = [
  { claim: 'nothing was done twice, and nothing that was refused', what: 'an order was refused', tell: () => void (granted(journal.placements).outcome = 'refused') },
  { claim: 'nothing was done twice, and nothing that was refused', what: 'a refund was refused', tell: () => void (granted(journal.refunds).outcome = 'refused') },
  { claim: 'the books agree with what was acknowledged', what: 'another payment was taken', tell: () => void (granted(journal.payments).id = randomUUID()) },
  { claim: 'the books agree with what was acknowledged', what: 'another refund was given', tell: () => void (granted(journal.refunds).id = randomUUID()) },
  { claim: 'no acknowledged order is lost', what: 'another order was taken', tell: () => void (granted(journal.placements).id = randomUUID()) },
];

/** The last one: hands may have been laid on the others. */
function granted<T extends Wish>(wishes: readonly T[]): T {
  return wishes.findLast(({ outcome }) => outcome === 'acknowledged')!;
}

/** Statuses of which there are fewer orders than will be laid hands on, and what else is not there yet. */
async function missing(): Promise<string[]> {
  const rows = await books.rows<{ status: string; n: number }>('select status, count(*)::int as n from orders.customer_order group by 1');
  const pairs = await books.rows('select 1 from recommendations.pair where orders > 0 limit 1');
  const wanted = Object.entries(Object.groupBy(vandalism, ({ status }) => status));
  return [...(pairs.length > 0 ? [] : ['bought together']), ...wanted.filter(([status, acts]) => (rows.find((row) => row.status === status)?.n ?? 0) < acts!.length).map(([status]) => status)];
}

t.test('a day of trade leaves nothing to complain of', async (t) => {
  const customers = new Customers({ api, stage, journal, random: new Random(1), clients: 4, restMs: 0 });
  await shop.until(async () => (await missing()).length === 0 && Object.values(journal.acknowledged).every((n) => n > 2), 'enough of everything', 30_000);
  await customers.goHome();
  t.strictSame(await books.untilAtRest(), []);
  for (const { claim, violations } of await audit(books, journal, stage)) t.strictSame(violations, [], claim);
});

t.test('what must not be is found', async (t) => {
  const touched = new Set<string>();
  for (const { claim, status, sql } of vandalism) {
    const orders = await books.rows<{ id: string }>('select id from orders.customer_order where status = $1', [status]);
    // One that nobody was told of, because its answer was lost, is missed by nobody.
    const { id } = orders.find((order) => !touched.has(order.id) && journal.placements.some((placement) => placement.id === order.id))!;
    touched.add(id);
    t.ok(await findsMore(claim, async () => books.rows(sql, [id])), `${claim}: ${sql}`);
  }
});

t.test('what is not as the client was told is found', async (t) => {
  for (const { claim, what, tell } of lies) {
    t.ok(await findsMore(claim, async () => tell()), `${claim}: ${what}`);
  }
});

t.test('a refusal that nothing explains is a complaint', async (t) => {
  const log = new Journal();
  const wish: Wish = { mark: 'mark 1', key: undefined, outcome: 'asked' };
  const refused = (code: string) => ({ status: 409, body: { code }, headers: new Headers() });
  t.equal(log.settle(wish, refused('ORDER_NOT_PAYABLE'), ['ORDER_NOT_PAYABLE']), false);
  t.strictSame(log.complaints, []);
  t.equal(log.settle(wish, refused('ORDER_NOT_FOUND'), ['ORDER_NOT_PAYABLE']), false);
  t.equal(log.complaints.length, 1);
});

t.test('a shop that does not come to rest is told of', async (t) => {
  const [saga] = await books.rows<{ id: string }>(`select id from orders_outbox.saga where status = 'waiting' limit 1`);
  await books.rows(`update orders_outbox.saga set status = 'running', wake_at = null where id = $1`, [saga!.id]);
  t.match(await books.untilAtRest(100), [`orders: saga ${saga!.id} is running`]);
});

t.test('answers that no client should have are told of, and others are not', async (t) => {
  const answers = [[500, {}], [503, {}], [503, { 'retry-after': '2' }], [409, {}]] as const;
  let next = 0;
  const server = createServer((_request, response) => {
    const [status, headers] = answers[next++]!;
    response.writeHead(status, headers).end('{"code":"UNAVAILABLE"}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const complaints: string[] = [];
  const judge = new Api({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, complain: (complaint) => complaints.push(complaint) });
  for (const [status] of answers) t.match(await judge.once({ method: 'GET', path: '/orders' }), { status });
  t.match(complaints, [/answered 500/, /answered 503 without Retry-After/]);
  t.equal(complaints.length, 2);
});

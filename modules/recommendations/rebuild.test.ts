/** Counting anew: from nothing but the orders' history, while the counts of before are answered; no page of it is read again, whoever goes on. */
import t from 'tap';
import { CallError } from '#kernel';
import { type Reply, tampering, testShop, type TestShop } from '#testing';
import { Buyer, recommended } from './buyer.testing.ts';

const PATH = '/api/v1/admin/recommendations/rebuild';
const PAGE = 200;
const ORDERS = 240;

const { modules, instead } = await tampering();
const shop = await testShop(t, { modules });
const admin = await shop.admin();
const ada = new Buyer(shop, await shop.customer());
const goods = await Promise.all(Array.from({ length: 8 }, async (_, n) => (await shop.product({ name: `Good ${n}`, stock: 100_000 })).id));
const placed: string[] = [];

/** Keeps the history back from its second page on, until it goes on or is to fail. */
function heldHistory() {
  const [reached, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  released.promise.catch(() => undefined);
  /** The orders that a rebuild was told of so far. */
  const told: string[] = [];
  instead.set('orders.listOrders', async (input, call, work) => {
    if (input.after !== undefined) {
      reached.resolve();
      await released.promise;
    }
    // Whoever waited may have given up since, and asks again.
    call.throwIfOver();
    const page = await work(input, call);
    told.push(...page.items.map(({ orderId }: { orderId: string }) => orderId));
    return page;
  });
  return { told, reached: reached.promise, goOn: () => released.resolve(), fail: () => released.reject(new CallError('UNAVAILABLE', 'the history is kept back')) };
}

let nth = 0;
async function place(count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    const pick = [nth, nth * 3 + 1, nth * 5 + 2].map((of) => goods[of % goods.length]!);
    nth += 1;
    placed.push(await ada.order([...new Set(pick)]));
  }
}

const fulfilled = async () => shop.until(async () => (await shop.sql('orders', `select 1 from customer_order where status in ('pending', 'paid') limit 1`)).length === 0, 'the orders to be fulfilled', 120_000);
const history = async () => (await shop.sql<{ id: string }>('orders', 'select id from customer_order order by id')).map(({ id }) => id);

interface Pair {
  pair: string;
  orders: number;
}

/** Every pair of the current counting that differs from what the orders themselves say. */
async function differences(): Promise<string[]> {
  const expected = await shop.sql<Pair>(
    'orders',
    `select format('%s with %s', a.product_id, b.product_id) as pair, count(*)::int as orders
     from customer_order o join order_item a on a.order_id = o.id join order_item b on b.order_id = o.id and a.product_id <> b.product_id
     where o.status in ('confirmed', 'shipped', 'delivered') group by 1`,
  );
  const counted = await shop.sql<Pair>('recommendations', `select format('%s with %s', product_id, companion_id) as pair, orders from pair where orders > 0 and counting_id = (select id from counting where status = 'current')`);
  const [should, does] = [expected, counted].map((pairs) => new Map(pairs.map(({ pair, orders }) => [pair, orders])));
  return [...new Set([...should!.keys(), ...does!.keys()])].filter((pair) => should!.get(pair) !== does!.get(pair)).map((pair) => `${pair}: ${does!.get(pair)} of ${should!.get(pair)}`);
}

/** Of all that is counted nothing is right any more: pairs, what each order is counted for, and which orders there are. */
async function spoil(): Promise<void> {
  await shop.sql('recommendations', 'update pair set orders = orders + 1000');
  await shop.sql('recommendations', 'delete from basket where order_id = any($1::uuid[])', [placed.slice(0, 80)]);
  await shop.sql('recommendations', `update basket set status = 'counted', product_ids = $1::uuid[]`, [[goods[0], goods[7]].toSorted()]);
  await shop.sql('recommendations', `insert into basket (counting_id, order_id, status, product_ids) select counting_id, gen_random_uuid(), 'counted', product_ids from basket`);
}

async function asked(who: TestShop, token: string): Promise<Reply> {
  return who.request('POST', PATH, { token });
}

async function finished(who: TestShop, token: string, id: string): Promise<Reply> {
  return who.until(async () => {
    const now = await who.request('GET', PATH, { token });
    return now.body.status === 'finished' && now.body.id === id && now;
  }, 'the counting to be finished', 30_000);
}

t.test('a rebuild counts anew from the history alone, while the counts of before are answered and orders come and go', async (t) => {
  const unpaid = await ada.order(goods.slice(0, 2), null);
  await Promise.all([1, 2, 3, 4].map(async () => place(ORDERS / 4)));
  await fulfilled();
  await Promise.all(placed.slice(100, 110).map(async (id) => ada.cancel(id)));
  await shop.until(async () => (await differences()).length === 0, 'all orders to be counted');
  const right = (await recommended(shop, goods[0]!)).body;
  await spoil();
  const spoilt = (await recommended(shop, goods[0]!)).body;
  t.not(spoilt.items[0].boughtTogether, right.items[0].boughtTogether, 'what is wrong now');

  const held = heldHistory();
  const [again, same] = await Promise.all([asked(shop, admin.token), asked(shop, admin.token)]);
  const { id } = again.body;
  t.match(again, { status: 202, body: { status: 'running', ordersRead: 0, finishedAt: null } });
  t.equal(same.body.id, id, 'asked for twice, it is made once');
  await held.reached;
  t.match((await shop.request('GET', PATH, { token: admin.token })).body, { id, status: 'running', ordersRead: PAGE, finishedAt: null }, 'a page is counted');
  t.equal((await asked(shop, admin.token)).body.id, id, 'asked for in the middle of it, it is the same');
  t.same((await recommended(shop, goods[0]!)).body, spoilt, 'and shows nowhere');

  const read = placed.slice(0, 20);
  await Promise.all([place(20), ada.pay(unpaid), ...read.map(async (order) => ada.cancel(order))]);
  const heard = async () => shop.sql('recommendations', `select distinct order_id from basket where order_id = $1 and status = 'counted' or order_id = any($2::uuid[]) and status = 'cancelled'`, [unpaid, read]);
  await shop.until(async () => (await heard()).length === 1 + read.length, 'what became of orders that were read already to be heard of');
  held.goOn();
  const [{ body }] = await Promise.all([finished(shop, admin.token, id), ...placed.slice(20, 40).map(async (order) => ada.cancel(order))]);
  t.same(held.told, await history(), 'each order was read once, the oldest first');
  t.equal(body.ordersRead, 1 + ORDERS + 20);
  await fulfilled();
  await shop.until(async () => (await differences()).length === 0, 'what the orders say to be counted').catch(() => undefined);
  t.same(await differences(), []);
  await shop.until(async () => (await shop.sql('recommendations', 'select 1 from counting')).length === 1, 'what is outdated to be removed');
  t.same(await shop.sql('recommendations', 'select distinct counting_id from pair union select distinct counting_id from basket'), await shop.sql('recommendations', 'select id as counting_id from counting'));
});

t.test('a rebuild that a process leaves behind half done is gone on with by the next one', async (t) => {
  const other = await testShop(t, { database: shop.database, modules });
  await spoil();
  const held = heldHistory();
  const { body } = await asked(shop, admin.token);
  await held.reached;
  const all = await history();
  const stopped = shop.host.stop();
  held.fail();
  await stopped;
  t.same(held.told, all.slice(0, PAGE), 'it was half done');

  const next = heldHistory();
  next.goOn();
  const { token } = await other.signIn(admin.username, admin.password);
  const whole = await finished(other, token, body.id);
  t.same(next.told, all.slice(PAGE), 'what was read is not read again');
  t.equal(whole.body.ordersRead, all.length);
  t.same(await differences(), []);
});

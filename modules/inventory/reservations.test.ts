import fc from 'fast-check';
import pg from 'pg';
import t from 'tap';
import { isRefusal, uuidv7 } from '#kernel';
import { testShop } from '#testing';
import { imbalances } from './balance.testing.ts';
import { inventory } from './contract.ts';
import { BURY, COMMIT, RELEASE, RESERVE } from './reservation-sql.ts';

const shop = await testShop(t, { settings: { RESERVATION_EXPIRY_INTERVAL_MS: '20' } });
const stock = shop.client(inventory);

interface Scope {
  teardown(action: () => Promise<void>): void;
}

const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();
const fromNow = (ms: number) => new Date(Date.now() + ms).toISOString();

async function reserve(orderId: string, productId: string, quantity = 1, expiresAt = inAnHour()): Promise<string> {
  const { outcome } = await stock.reserve({ orderId, items: [{ productId, quantity }], expiresAt }, shop.call());
  return outcome;
}

async function level(productId: string): Promise<{ on_hand: number; reserved: number }> {
  const [row] = await shop.sql<{ on_hand: number; reserved: number }>('inventory', 'select on_hand, reserved from stock where product_id = $1', [productId]);
  return row!;
}

/** Another process of the shop, in the middle of a transaction: it holds its locks until it commits. */
async function rival(t: Scope): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: shop.adminUrlOf('inventory'), options: '-c search_path=inventory' });
  await client.connect();
  t.teardown(async () => client.end());
  await client.query('begin');
  return client;
}

async function lockedStock(t: Scope, productId: string): Promise<pg.Client> {
  const client = await rival(t);
  await client.query('select from stock where product_id = $1 for update', [productId]);
  return client;
}

/** The operation has arrived at a row that somebody else holds. */
async function untilBlocked(count = 1): Promise<void> {
  await shop.until(async () => {
    const [row] = await shop.sql<{ waiting: number }>(
      'inventory',
      `select count(*) as waiting from pg_stat_activity where datname = current_database() and application_name = 'cleave:inventory' and wait_event_type = 'Lock'`,
    );
    return row!.waiting >= count;
  }, `${count} statements that wait for a lock`);
}

/** Starts work that will block; its outcome is awaited later. */
function begun<T>(work: Promise<T>): Promise<T> {
  work.catch(() => undefined);
  return work;
}

void t.test('200 concurrent orders for the last 10 pieces leave exactly 10 sold', async (t) => {
  const { id } = await shop.product({ stock: 10 });
  const orders = Array.from({ length: 200 }, () => uuidv7());

  const outcomes = await Promise.all(orders.map(async (orderId) => reserve(orderId, id)));

  t.equal(outcomes.filter((outcome) => outcome === 'reserved').length, 10);
  t.equal(outcomes.filter((outcome) => outcome === 'out_of_stock').length, 190);
  const winners = orders.filter((_, i) => outcomes[i] === 'reserved');
  await Promise.all(winners.map(async (orderId) => stock.commit({ orderId }, shop.call())));
  t.same(await level(id), { on_hand: 0, reserved: 0 });
});

void t.test('orders that name the same products in any order do not deadlock', async (t) => {
  const products = await Promise.all([1, 2, 3].map(async () => shop.product({ stock: 1_000 })));
  const ids = products.map(({ id }) => id);
  const turned = (i: number) => [...ids.slice(i % 3), ...ids.slice(0, i % 3)];

  const answers = await Promise.all(
    Array.from({ length: 90 }, async (_, i) =>
      stock.reserve({ orderId: uuidv7(), items: turned(i).map((productId) => ({ productId, quantity: 2 })), expiresAt: inAnHour() }, shop.call()),
    ),
  );

  t.ok(answers.every(({ outcome }) => outcome === 'reserved'));
  for (const id of ids) t.same(await level(id), { on_hand: 1_000, reserved: 180 });
});

void t.test('one order that is reserved many times at once takes its stock once', async (t) => {
  const { id } = await shop.product({ stock: 10 });
  const orderId = uuidv7();
  const outcomes = await Promise.all(Array.from({ length: 12 }, async () => reserve(orderId, id, 3)));
  t.same(new Set(outcomes), new Set(['reserved']));
  t.same(await level(id), { on_hand: 10, reserved: 3 });
});

void t.test('a second reserve waits for the first, and takes over when that one fails', async (t) => {
  for (const end of ['commit', 'rollback']) {
    const { id } = await shop.product({ stock: 10 });
    const orderId = uuidv7();
    const first = await rival(t);
    await first.query(RESERVE, [orderId, [id], [4], inAnHour()]);

    const second = begun(reserve(orderId, id, 4));
    await untilBlocked();
    await first.query(end);

    t.equal(await second, 'reserved', `after ${end}`);
    t.same(await level(id), { on_hand: 10, reserved: 4 }, `after ${end}`);
  }
});

void t.test('a release that overtakes the reserve wins: nothing is set aside', async (t) => {
  const { id } = await shop.product({ stock: 10 });
  const orderId = uuidv7();
  const holder = await lockedStock(t, id);

  const late = begun(reserve(orderId, id));
  await untilBlocked();
  await stock.release({ orderId }, shop.call());
  await holder.query('commit');

  t.equal(await late, 'released');
  t.same(await level(id), { on_hand: 10, reserved: 0 });
});

void t.test('a reserve that meets an unfinished tombstone waits for it', async (t) => {
  const { id } = await shop.product({ stock: 10 });
  const orderId = uuidv7();
  const releasing = await rival(t);
  await releasing.query(BURY, [orderId]);

  const late = begun(reserve(orderId, id));
  await untilBlocked();
  await releasing.query('commit');

  t.equal(await late, 'released');
  t.same(await level(id), { on_hand: 10, reserved: 0 });
});

void t.test('a release that meets an unfinished reserve waits, and frees what that one took', async (t) => {
  const { id } = await shop.product({ stock: 10 });
  const orderId = uuidv7();
  const reserving = await rival(t);
  await reserving.query(RESERVE, [orderId, [id], [4], inAnHour()]);

  const release = begun(stock.release({ orderId }, shop.call()));
  await untilBlocked();
  await reserving.query('commit');

  await release;
  t.same(await level(id), { on_hand: 10, reserved: 0 });
  t.equal(await reserve(orderId, id), 'released');
});

void t.test('a reserve that waited for pieces to come free gets them', async (t) => {
  const { id } = await shop.product({ stock: 10 });
  const earlier = uuidv7();
  await reserve(earlier, id, 8);
  const releasing = await rival(t);
  await releasing.query(RELEASE, [earlier]);

  const later = begun(reserve(uuidv7(), id, 6));
  await untilBlocked();
  await releasing.query('commit');

  t.equal(await later, 'reserved');
  t.same(await level(id), { on_hand: 10, reserved: 6 });
});

void t.test('commit and release of one order: the second sees what the first did', async (t) => {
  const { id } = await shop.product({ stock: 10 });
  const [committedFirst, releasedFirst] = [uuidv7(), uuidv7()];
  await reserve(committedFirst, id, 2);
  await reserve(releasedFirst, id, 3);

  const committing = await rival(t);
  await committing.query(COMMIT, [committedFirst]);
  const release = begun(stock.release({ orderId: committedFirst }, shop.call()));
  await untilBlocked();
  await committing.query('commit');
  await release;
  t.same(await level(id), { on_hand: 10, reserved: 3 }, 'what had left came back');

  const releasing = await rival(t);
  await releasing.query(RELEASE, [releasedFirst]);
  const commit = begun(stock.commit({ orderId: releasedFirst }, shop.call()));
  await untilBlocked();
  await releasing.query('commit');
  await t.rejects(commit, { code: 'RESERVATION_NOT_HELD' });
  t.same(await level(id), { on_hand: 10, reserved: 0 });
});

void t.test('expiry that is under way beats a commit', async (t) => {
  const { id } = await shop.product({ stock: 10 });
  const orderId = uuidv7();
  await reserve(orderId, id, 2);
  const holder = await lockedStock(t, id);
  await shop.sql('inventory', 'update reservation set expires_at = now() where order_id = $1', [orderId]);
  await untilBlocked();

  const commit = begun(stock.commit({ orderId }, shop.call()));
  await untilBlocked(2);
  await holder.query('commit');

  await t.rejects(commit, { code: 'RESERVATION_NOT_HELD' });
  t.same(await level(id), { on_hand: 10, reserved: 0 });
});

void t.test('a commit that is under way beats expiry', async (t) => {
  const [product, other] = [await shop.product({ stock: 10 }), await shop.product({ stock: 10 })];
  const [orderId, decoy] = [uuidv7(), uuidv7()];
  await reserve(orderId, product.id, 2);
  await reserve(decoy, other.id);
  const lapse = async (id: string) => shop.sql('inventory', 'update reservation set expires_at = now() where order_id = $1', [id]);

  // Expiry is kept busy by the decoy until the commit holds the reservation.
  const busy = await lockedStock(t, other.id);
  await lapse(decoy);
  await untilBlocked();
  await lapse(orderId);
  const holder = await lockedStock(t, product.id);
  const commit = begun(stock.commit({ orderId }, shop.call()));
  await untilBlocked(2);
  await busy.query('commit');
  await reserve(uuidv7(), other.id, 1, fromNow(0));
  await shop.until(async () => (await level(other.id)).reserved === 0, 'expiry to run while the commit holds the reservation');
  await holder.query('commit');

  await commit;
  t.same(await level(product.id), { on_hand: 8, reserved: 0 });
});

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('reserve' as const), order: fc.nat(4), quantities: fc.tuple(fc.nat(9), fc.nat(9)), lapses: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('commit' as const, 'release' as const), order: fc.nat(4) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('adjust' as const), product: fc.nat(1), delta: fc.integer({ min: -8, max: 8 }).filter((delta) => delta !== 0) }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** What one random history is about; each has its own, so that one that fails leaves nothing to the next. */
interface World {
  readonly orders: readonly string[];
  readonly products: readonly string[];
}

async function take({ orders, products }: World, act: Step): Promise<void> {
  switch (act.do) {
    case 'reserve': {
      const items = products.map((productId, i) => ({ productId, quantity: act.quantities[i]! })).filter(({ quantity }) => quantity > 0);
      if (items.length > 0) await stock.reserve({ orderId: orders[act.order]!, items, expiresAt: act.lapses ? fromNow(30) : inAnHour() }, shop.call());
      return;
    }
    case 'commit':
      await stock.commit({ orderId: orders[act.order]! }, shop.call()).catch((error: unknown) => {
        if (!isRefusal(error, inventory, 'RESERVATION_NOT_HELD')) throw error;
      });
      return;
    case 'release':
      await stock.release({ orderId: orders[act.order]! }, shop.call());
      return;
    case 'adjust': {
      const { token } = await shop.admin();
      const body = { delta: act.delta, reason: 'by chance' };
      const { status } = await shop.request('POST', `/api/v1/inventory/${products[act.product]!}/adjustments`, { token, body });
      if (status !== 201 && status !== 409) throw new Error(`an adjustment by ${act.delta} answered ${status}`);
    }
  }
}

async function requireBalance(moment: string, products: readonly string[]): Promise<void> {
  const wrong = (await imbalances(shop)).filter(({ product_id: id }) => products.includes(id));
  if (wrong.length > 0) throw new Error(`the books do not balance ${moment}: ${JSON.stringify(wrong)}`);
}

void t.test('whatever happens, and in whatever order, the books balance', async (t) => {
  const waves = fc.array(fc.array(step, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 6 });
  const history = fc.asyncProperty(waves, async (acts) => {
    const products = [(await shop.product({ stock: 20 })).id, (await shop.product({ stock: 20 })).id];
    const orders = Array.from({ length: 5 }, () => uuidv7());
    for (const [i, wave] of acts.entries()) {
      await Promise.all(wave.map(async (act) => take({ orders, products }, act)));
      await requireBalance(`after wave ${i + 1}`, products);
    }
    await Promise.all(orders.map(async (orderId) => stock.release({ orderId }, shop.call())));
    await requireBalance('in the end', products);
    for (const id of products) if ((await level(id)).reserved !== 0) throw new Error(`${id} is reserved although every order was released`);
  });
  await t.resolves(fc.assert(history, { numRuns: 25 }));
});

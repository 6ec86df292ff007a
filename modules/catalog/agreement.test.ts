/**
 * Two processes of the shop on one database: what one changes, the other shows. Where the modules are services of several replicas, whoever asks
 * meets any of them, which is as good.
 */
import pg from 'pg';
import t from 'tap';
import type { CacheFactory, ReadCache } from '#kernel';
import { type TestShop, testShop } from '#testing';
import { Catalog } from './catalog.ts';
import { catalog } from './contract.ts';

const one = await testShop(t);
const two = one.isOneProcess ? await testShop(t, { database: one.database }) : one;
const shops = [one, two] as const;
const { token } = await one.admin();

const CUT_BUSES = `select pg_terminate_backend(pid) from pg_stat_activity
  where datname = current_database() and application_name = 'cleave-bus'`;
const WAITING = `select query from pg_stat_activity
  where datname = current_database() and wait_event_type = 'Lock' and query like '%from product%'`;

async function read(shop: TestShop, id: string): Promise<{ status: number; amount: number | undefined }> {
  const { status, body } = await shop.request('GET', `/api/v1/products/${id}`);
  return { status, amount: body.price?.amount };
}

async function setPrice(shop: TestShop, id: string, amount: number): Promise<void> {
  const { status } = await shop.request('PATCH', `/api/v1/products/${id}`, { token, body: { price: { amount, currency: 'USD' } } });
  if (status !== 200) throw new Error(`the price could not be set: ${status}`);
}

t.test('a change by one process shows in the next read of the other, by id, in lists, in searches and in calls', async (t) => {
  const { id } = await one.product({ name: 'Agreeable samovar', price: 100 });
  const views = {
    id: async () => (await two.request('GET', `/api/v1/products/${id}`)).body,
    list: async () => (await two.request('GET', '/api/v1/products')).body.items.find((product: { id: string }) => product.id === id),
    search: async () => (await two.request('GET', '/api/v1/products/search?q=samovar')).body.items[0],
    call: async () => (await two.client(catalog).getProducts({ ids: [id] }, two.call())).items[0],
  };
  for (const [name, view] of Object.entries(views)) t.equal((await view()).price.amount, 100, name);
  await setPrice(one, id, 200);
  for (const [name, view] of Object.entries(views)) t.equal((await view()).price.amount, 200, name);
  await one.request('DELETE', `/api/v1/products/${id}`, { token });
  t.equal((await views.id()).code, 'PRODUCT_NOT_FOUND');
  for (const view of [views.list, views.search, views.call]) t.equal(await view(), undefined);
});

t.test('a new category shows in the other process', async (t) => {
  const names = async () => (await two.request('GET', '/api/v1/categories')).body.items.map(({ name }: { name: string }) => name);
  t.same(await names(), []);
  await one.request('POST', '/api/v1/categories', { token, body: { name: 'Samovars' } });
  t.same(await names(), ['Samovars']);
});

t.test('no read is older than the last change that was answered before, though the connections between the processes are cut', async (t) => {
  const { id } = await one.product({ price: 1 });
  const CHANGES = 40;
  let answered = 1;
  let over = false;
  const stale: string[] = [];
  const reader = async (shop: TestShop) => {
    while (!over) {
      const atLeast = answered;
      const { amount } = await read(shop, id);
      if (amount! < atLeast) stale.push(`${amount} after ${atLeast}`);
    }
  };
  const writer = async () => {
    for (let amount = 2; amount <= CHANGES; amount += 1) {
      await setPrice(shops[amount % 2]!, id, amount);
      answered = amount;
      if (amount % 15 === 0) await one.sql('catalog', CUT_BUSES);
    }
    over = true;
  };
  await Promise.all([writer(), reader(one), reader(two), reader(one), reader(two)]);
  t.same(stale, []);
  for (const shop of shops) t.equal((await read(shop, id)).amount, CHANGES);
});

t.test('a hundred readers of a product that nobody has read yet cost one query', { skip: !one.isOneProcess && 'each replica asks for itself' }, async (t) => {
  const { id } = await one.product({ price: 100 });
  // One connection locks, another looks: a transaction sees pg_stat_activity as it was at its first look.
  const [locking, looking] = [new pg.Client({ connectionString: one.adminUrl }), new pg.Client({ connectionString: one.adminUrl })];
  await Promise.all([locking.connect(), looking.connect()]);
  t.teardown(async () => Promise.all([locking.end(), looking.end()]));
  await locking.query('begin');
  await locking.query('lock table catalog.product in access exclusive mode');
  const waiting = async () => (await looking.query(WAITING)).rowCount;
  t.equal(await waiting(), 0);
  const reads = Array.from({ length: 100 }, async () => read(two, id));
  await two.until(waiting, 'a query that waits for the table');
  for (let look = 0; look < 20; look += 1) t.equal(await waiting(), 1);
  await locking.query('commit');
  t.same(new Set((await Promise.all(reads)).map(({ amount }) => amount)), new Set([100]));
});

t.test('what several calls ask for at once is loaded once, and found whole by each', async (t) => {
  const ids = [];
  for (let index = 0; index < 3; index += 1) ids.push((await one.product()).id);
  const asked = [[ids[0], ids[1]], [ids[1], ids[2]], ids, [ids[2], ids[0]]] as string[][];
  const answers = await Promise.all(asked.map(async (wanted) => two.client(catalog).getProducts({ ids: wanted }, two.call())));
  for (const [index, { items }] of answers.entries()) t.same(items.map(({ id }) => id).sort(), asked[index]!.toSorted());
});

t.test('what the cache loads later is read later, though it was asked for together with others', { skip: !one.isOneProcess && 'is about the inside of a process' }, async (t) => {
  const [first, second] = [await one.product({ price: 1 }), await one.product({ price: 1 })];
  const [begun, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const cache: ReadCache<unknown> = {
    peek: () => undefined,
    invalidate: async () => undefined,
    async get(key, load) {
      if (key === second.id) await released.promise;
      else await load().finally(begun.resolve);
      return load();
    },
  };
  const asked = new Catalog({ db: one.module('catalog').db, caches: { create: () => cache } as CacheFactory }).operations.getProducts({ ids: [first.id, second.id] }, one.call());
  await begun.promise;
  await setPrice(one, second.id, 2);
  released.resolve();
  const { items } = await asked;
  t.equal(items.find(({ id }) => id === second.id)!.price.amount, 2);
});

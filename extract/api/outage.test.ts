/** A module that is down takes its own routes with it, and an order only where there is no order without it. */
import t from 'tap';
import { testShop } from '#testing';
import { Conformity, type Parameter } from './conformity.testing.ts';
import { API, shippingAddress, World } from './world.testing.ts';

const shop = await testShop(t);
const conformity = new Conformity((await shop.request('GET', '/openapi.json')).body);
const world = await World.create(shop);
const { modules } = (await shop.request('GET', '/health')).body;
const NOBODYS = '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10';

/** Orders are taken by their own module, at the catalog's prices; all the rest can follow later. */
const indispensable = ['orders', 'catalog'];

function isNeeded({ in: place, required }: Parameter): boolean {
  return place === 'query' && required === true;
}

async function placeOrder() {
  const body = { items: [{ productId: world.product, quantity: 1 }], shippingAddress };
  return shop.request('POST', `${API}/orders`, { ...world.as('owner'), body });
}

for (const module of Object.keys(modules)) {
  await t.test(`without ${module}`, async (t) => {
    const { gate } = shop.module(module);
    await gate.close();
    t.teardown(() => gate.open());
    const reads = conformity.operations.filter(({ method, tags, parameters }) => method === 'GET' && tags.includes(module) && !parameters.some(isNeeded));
    t.ok(reads.length > 0);
    for (const operation of reads) {
      const url = operation.path.replace(/\{\w+\}/, NOBODYS);
      const reply = await shop.request('GET', url, world.as('admin'));
      t.match(reply, { status: 503, body: { code: 'UNAVAILABLE' } }, operation.name);
      t.same(conformity.complaints(operation, url, reply), []);
    }
    t.match(await placeOrder(), indispensable.includes(module) ? { status: 503, body: { code: 'UNAVAILABLE' } } : { status: 201 }, 'whether orders are taken');
    t.equal((await shop.request('GET', '/health')).status, 200, 'the process lives');
  });
}

t.test('what was taken meanwhile is brought to its end when all are back', async (t) => {
  const statuses = ['pending', 'paid'];
  await shop.until(async () => {
    const { body } = await shop.request('GET', `${API}/orders?limit=100`, world.as('owner'));
    return body.items.length > 0 && body.items.every(({ status }: { status: string }) => !statuses.includes(status));
  }, 'no order to be under way any more');
  t.equal((await placeOrder()).status, 201);
});

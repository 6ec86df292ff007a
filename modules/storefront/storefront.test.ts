/** The product page, with each of its parts in turn late, down and wrong. All modules are the shop's own; operations can be tampered with. */
import { once } from 'node:events';
import t from 'tap';
import { type Reply, type Tampered, tampering, testShop } from '#testing';

const { modules, instead, asked } = await tampering();
const shop = await testShop(t, { modules });
const ada = await shop.customer();
const NOBODYS = '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10';
const [lamp, bulb] = [await shop.product({ name: 'Lamp', stock: 100 }), await shop.product({ name: 'Bulb' })];
const shippingAddress = { name: 'Ada Lovelace', line1: '12 St James Square', city: 'London', postalCode: 'SW1Y 4JH', country: 'GB' };

const page = async (id: string, token?: string): Promise<Reply> => shop.request('GET', `/api/v1/product-pages/${id}`, token === undefined ? {} : { token });
const untilStopped: Tampered = async (_input, call) => once(call.signal, 'abort');
const wrong: Tampered = async () => ({ nonsense: true });
const failing: Tampered = async () => {
  throw new TypeError('undefined is not a function');
};

/** The page, since when it was asked for, and how long it took, in ms. */
async function timed(): Promise<{ reply: Reply; since: number; ms: number }> {
  const [since, started] = [Date.now(), performance.now()];
  return { reply: await page(lamp.id, ada.token), since, ms: performance.now() - started };
}

t.afterEach(() => instead.clear());

const items = [lamp, bulb].map(({ id }) => ({ productId: id, quantity: 1 }));
await shop.request('POST', '/api/v1/orders', { token: ada.token, body: { items, shippingAddress, payment: { method: 'card', cardToken: 'tok_visa' } } });
await shop.until(async () => (await page(lamp.id)).body.recommendations.length === 1, 'the order to be counted');

const whole = {
  product: (await shop.request('GET', `/api/v1/products/${lamp.id}`)).body,
  inventory: { productId: lamp.id, available: 99, status: 'in_stock' },
  recommendations: [{ productId: bulb.id, name: 'Bulb', price: bulb.price, boughtTogether: 1 }],
  viewer: { id: ada.id, username: ada.username, role: 'customer' },
  degraded: [] as string[],
};

t.test('the page holds what its modules know, for a visitor without the viewer', async (t) => {
  t.match(await page(lamp.id, ada.token), { status: 200, body: whole });
  const { viewer: _nobody, ...visited } = whole;
  t.strictSame((await page(lamp.id)).body, visited);
  t.match(await page(NOBODYS), { status: 404, body: { code: 'PRODUCT_NOT_FOUND' } });
  t.match(await page(lamp.id, 'not.a.token'), { status: 401, body: { code: 'UNAUTHENTICATED' } });
});

t.test('the parts are asked for at the same time', async (t) => {
  asked.splice(0);
  for (const name of ['inventory.getAvailability', 'recommendations.getRecommendations', 'users.getUser', 'catalog.getProduct']) instead.set(name, untilStopped);
  t.equal((await page(lamp.id, ada.token)).status, 503, 'nothing at all comes');
  const moments = asked.filter(({ name }) => instead.has(name)).map(({ at }) => at);
  t.equal(moments.length, 4);
  t.ok(Math.max(...moments) - Math.min(...moments) < 500, 'none was asked for only when another one had been late');
});

/** Patience, in ms, is what the public API promises; how the module comes by it is not asked. */
const standIns = {
  inventory: { operation: 'inventory.getAvailability', patience: 1_000, part: { inventory: { status: 'unknown' } } },
  recommendations: { operation: 'recommendations.getRecommendations', patience: 500, part: { recommendations: [] } },
  viewer: { operation: 'users.getUser', patience: 1_000, part: { viewer: undefined } },
} as const;

for (const [name, { operation, patience, part }] of Object.entries(standIns)) {
  const { viewer, ...rest } = { ...whole, ...part, degraded: [name] };
  const expected = viewer ? { viewer, ...rest } : rest;

  t.test(`${name} that is late is not waited for any longer than ${patience} ms`, async (t) => {
    asked.splice(0);
    instead.set(operation, untilStopped);
    const { reply, since, ms } = await timed();
    t.strictSame([reply.status, reply.body], [200, expected]);
    t.ok(ms >= patience && ms < patience + 2_000, `it took ${ms} ms`);
    const { call, leftMs } = asked.find((each) => each.name === operation && each.call.caller === 'storefront')!;
    t.ok(leftMs <= patience, `it was given ${leftMs} ms when it was asked`);
    t.ok(call.deadline >= since + patience, `it was given until ${call.deadline - since} ms after the page was asked for`);
  });

  t.test(`${name} that is wrong is replaced`, async (t) => {
    for (const behaviour of [wrong, failing]) {
      instead.set(operation, behaviour);
      const { reply } = await timed();
      t.strictSame([reply.status, reply.body], [200, expected]);
    }
  });

  t.test(`${name} that is down is replaced at once`, async (t) => {
    const { gate } = shop.module(operation.split('.')[0]!);
    const closed = gate.close();
    t.teardown(() => gate.open());
    await closed;
    // A machine that is busy may take long once.
    const tries = [await timed(), await timed(), await timed()];
    for (const { reply } of tries) t.strictSame([reply.status, reply.body], [200, expected]);
    const ms = Math.min(...tries.map((each) => each.ms));
    t.ok(ms < patience, `it took ${ms} ms`);
  });
}

t.test('all parts late at once are late once', async (t) => {
  for (const { operation } of Object.values(standIns)) instead.set(operation, untilStopped);
  const { reply, ms } = await timed();
  t.strictSame([reply.status, reply.body], [200, { product: whole.product, inventory: { status: 'unknown' }, recommendations: [], degraded: ['inventory', 'recommendations', 'viewer'] }]);
  t.ok(ms < 2_000, `it took ${ms} ms`);
});

t.test('without the product there is no page, and nothing else is asked any longer', async (t) => {
  for (const behaviour of [untilStopped, wrong, failing]) {
    asked.splice(0);
    instead.set('catalog.getProduct', behaviour);
    let leftMs = 0;
    instead.set('inventory.getAvailability', async (_input, call) => {
      await once(call.signal, 'abort');
      leftMs = call.remainingMs;
    });
    const { status, body, headers } = await page(lamp.id);
    t.equal(status, 503);
    t.match(body.code, /^(UNAVAILABLE|DEADLINE_EXCEEDED)$/);
    t.ok(Number(headers.get('retry-after')) > 0);
    const { call } = asked.find(({ name }) => name === 'inventory.getAvailability')!;
    await shop.until(() => call.signal.aborted, 'the question for the stock to be cancelled');
    // One that is late is waited for longer than the stock.
    if (behaviour !== untilStopped) t.ok(leftMs > 0, 'before its own time was over');
  }
  instead.clear();
  const { gate } = shop.module('catalog');
  const closed = gate.close();
  t.teardown(() => gate.open());
  await closed;
  t.match(await page(lamp.id), { status: 503, body: { code: 'UNAVAILABLE' } });
});

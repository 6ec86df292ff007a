/** Idempotency keys, on every route that takes one: what is asked for twice happens once, and is answered alike. */
import t from 'tap';
import { type Reply, testShop } from '#testing';
import { Conformity } from './conformity.testing.ts';
import { API, type Caller, shippingAddress, World } from './world.testing.ts';

interface Keyed {
  readonly path: string;
  readonly by: Caller;
  readonly body: { readonly [field: string]: unknown };
  /** As valid, and not the same. */
  readonly other: { readonly [field: string]: unknown };
}

const shop = await testShop(t);
const conformity = new Conformity((await shop.request('GET', '/openapi.json')).body);
const world = await World.create(shop);

const makers: Readonly<Record<string, () => Promise<Keyed>>> = {
  'POST /orders': async () => {
    const body = { items: [{ productId: world.product, quantity: 1 }], shippingAddress };
    return { path: '/orders', by: 'owner', body, other: { ...body, items: [{ productId: world.product, quantity: 2 }] } };
  },
  'POST /payments': async () => {
    const body = { orderId: await world.order(), method: 'card', cardToken: 'tok_visa' };
    return { path: '/payments', by: 'owner', body, other: { ...body, cardToken: 'tok_declined' } };
  },
  'POST /payments/{id}/refund': async () => {
    const body = { amount: { amount: 5, currency: 'USD' }, reason: 'scratched' };
    return { path: `/payments/${(await world.belongings()).payment}/refund`, by: 'admin', body, other: { ...body, reason: 'broken' } };
  },
};

async function send({ path, by }: Keyed, key: string, body: object): Promise<Reply> {
  return shop.request('POST', `${API}${path}`, { ...world.as(by), headers: { 'idempotency-key': key }, body });
}

function isReplayed(reply: Reply): boolean {
  return reply.headers.get('idempotency-replayed') === 'true';
}

t.test('these are the routes that take a key', async (t) => {
  const keyed = conformity.operations.filter(({ parameters }) => parameters.some(({ name }) => name === 'idempotency-key'));
  t.same(keyed.map(({ name }) => name.replace(API, '')).sort(), Object.keys(makers).sort());
});

for (const [name, make] of Object.entries(makers)) {
  await t.test(name, async (t) => {
    const asked = await make();

    await t.test('asked ten times at once, does it once', async (t) => {
      const replies = await Promise.all(Array.from({ length: 10 }, () => send(asked, 'at-once', asked.body)));
      const done = replies.filter(({ status }) => status === 201);
      t.equal(done.filter((reply) => !isReplayed(reply)).length, 1, 'one request did it');
      t.equal(new Set(done.map(({ body }) => body.id)).size, 1);
      const refused = replies.filter(({ status }) => status !== 201).map(({ status, body }) => `${status} ${body.code}`);
      t.same(refused.filter((each) => each !== '409 IDEMPOTENCY_IN_PROGRESS'), []);
      const later = await send(asked, 'at-once', asked.body);
      t.ok(isReplayed(later));
      t.same([later.status, later.body], [201, done[0]!.body], 'the answer stays the first one');
    });

    await t.test('says the same whatever the order of the fields, and refuses the key for anything else', async (t) => {
      const reversed = Object.fromEntries(Object.entries(asked.body).reverse());
      t.ok(isReplayed(await send(asked, 'at-once', reversed)));
      t.match(await send(asked, 'at-once', asked.other), { status: 422, body: { code: 'IDEMPOTENCY_KEY_REUSED' } });
    });

    await t.test('does nothing under a key that is none', async (t) => {
      for (const key of ['a b', 'x'.repeat(256), '\u00e4']) {
        t.match(await send(asked, key, asked.body), { status: 400, body: { code: 'VALIDATION_FAILED', errors: [{ path: '/idempotency-key' }] } }, key.slice(0, 5));
      }
      const longest = await make();
      t.equal((await send(longest, 'x~!'.repeat(85), longest.body)).status, 201);
    });
  });
}

t.test('a key is its user\'s own', async (t) => {
  const asked = await makers['POST /orders']!();
  const replies = [await send(asked, 'shared', asked.body), await send({ ...asked, by: 'stranger' }, 'shared', asked.body)];
  t.same(replies.map((reply) => [reply.status, isReplayed(reply), reply.body.customerId]), [
    [201, false, world.user('owner').id],
    [201, false, world.user('stranger').id],
  ]);
});

t.test('one key for two things at once is two keys, as it is where their modules are apart', async (t) => {
  const pairs = Array.from({ length: 5 }, async (_, n) => {
    const [order, payment] = [await makers['POST /orders']!(), await makers['POST /payments']!()];
    return Promise.all([order, payment].map(async (asked) => send(asked, `both-${n}`, asked.body)));
  });
  t.same((await Promise.all(pairs)).flat().map(({ status }) => status), Array.from({ length: 10 }, () => 201));
});

t.test('a decline is replayed too', async (t) => {
  const asked = await makers['POST /payments']!();
  const declined = await send(asked, 'declined', asked.other);
  const again = await send(asked, 'declined', asked.other);
  t.match(declined, { status: 402, body: { code: 'PAYMENT_DECLINED', paymentId: String } });
  t.ok(isReplayed(again));
  t.equal(again.body.paymentId, declined.body.paymentId);
});

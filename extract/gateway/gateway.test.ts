/** Services behind a gateway, used as the shop that they are: what has to hold of them together. */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { testRedisUrl, withoutRedis } from '#testing';
import { API, shippingAddress } from '../api/world.testing.ts';
import { servicesBehindGateway, testGateway } from './services.testing.ts';
import { deadOrigin } from './upstream.testing.ts';

const SUBSCRIBER = 'notifications.customer-messages';
const PLACED = 'orders.order-placed.v1';
const EVENTS = `${API}/admin/events`;
const SIGN_INS = 4;
const rest = ['catalog', 'inventory', 'orders', 'payments', 'shipping', 'recommendations', 'support', 'storefront'];

let isPoisoned = false;
const probe = (point: string): void => {
  if (isPoisoned && point === `event:${SUBSCRIBER}:${PLACED}:applied`) throw new TypeError('cannot digest this');
};
const settings = { TRUST_PROXY: '1', EVENT_RETRY_BASE_MS: '5', EVENT_RETRY_MAX_MS: '20', EVENT_MAX_ATTEMPTS: '2', SIGN_IN_ADDRESS_FAILURES: String(SIGN_INS) };
const shop = await servicesBehindGateway(t, { services: [['users'], ['notifications'], rest], settings, probe });
const admin = await shop.admin();
const product = await shop.product({ stock: 1_000 });

async function order(token: string): Promise<string> {
  const { status, body } = await shop.request('POST', `${API}/orders`, { token, body: { items: [{ productId: product.id, quantity: 1 }], shippingAddress } });
  if (status !== 201) throw new Error(`an order could not be placed: ${JSON.stringify(body)}`);
  return body.id as string;
}

async function events(method: string, path: string, body?: object) {
  return shop.request(method, `${EVENTS}${path}`, { token: admin.token, ...(body && { body }) });
}

async function state(): Promise<{ backlog: number; retrying: number; dead: number }> {
  return (await events('GET', '/subscribers')).body.subscribers.find(({ subscriber }: { subscriber: string }) => subscriber === SUBSCRIBER);
}

/** While the public listener of the service of `module` cannot be reached. */
async function without<T>(module: string, work: () => Promise<T>): Promise<T> {
  const { publicly } = shop.addresses;
  const origins = publicly[module]!;
  publicly[module] = [await deadOrigin()];
  return work().finally(() => (publicly[module] = origins));
}

t.test('a service that is down takes its own routes with it, and shows', async (t) => {
  const customer = await shop.customer();
  await without('support', async () => {
    t.match(await shop.request('GET', `${API}/tickets`, { token: customer.token }), { status: 503, body: { code: 'UNAVAILABLE' } });
    t.equal((await shop.request('GET', `${API}/products/${product.id}`)).status, 200);
    t.match((await shop.request('GET', '/health')).body, { status: 'degraded', modules: { support: 'unhealthy', users: 'healthy', orders: 'healthy' } });
    t.equal((await shop.request('GET', '/ready')).status, 200);
  });
  t.equal((await shop.request('GET', `${API}/tickets`, { token: customer.token })).status, 200);
});

t.test('a token that is withdrawn is refused at the edge', async (t) => {
  const customer = await shop.customer();
  const me = async () => shop.request('GET', `${API}/users/me`, { token: customer.token });
  await without('users', async () => t.equal((await me()).status, 503, 'a good one gets as far as the service'));
  t.equal((await shop.request('PATCH', `${API}/users/${customer.id}`, { token: admin.token, body: { role: 'support' } })).status, 200);
  await without('users', async () => {
    const refused = await shop.until(async () => {
      const reply = await me();
      return reply.status === 401 && reply;
    }, 'the token to be refused');
    t.match(refused.body, { code: 'UNAUTHENTICATED', detail: /withdrawn/ });
  });
});

t.test('services know clients by their own addresses', async (t) => {
  const guess = async (from: string) => (await shop.request('POST', `${API}/users/authenticate`, { headers: { 'x-forwarded-for': from }, body: { username: `nobody_${randomBytes(4).toString('hex')}`, password: 'not this one' } })).status;
  const seen: number[] = [];
  for (let n = 0; n <= SIGN_INS; n += 1) seen.push(await guess('192.0.2.77'));
  t.same(seen, [401, 401, 401, 401, 429]);
  t.equal(await guess('192.0.2.78'), 401);
});

t.test('a user is counted by all gateways together, wherever it comes from', { skip: await withoutRedis() }, async (t) => {
  const limited = { ...settings, RATE_LIMIT_PER_MINUTE: '4', REDIS_URL: testRedisUrl };
  const start = { publicly: shop.addresses.public, internally: shop.addresses.internal, settings: limited };
  const gateways = [await testGateway(t, start), await testGateway(t, start)];
  const { token } = await shop.customer();
  const statuses: number[] = [];
  for (let n = 0; n < 6; n += 1) {
    const response = await fetch(`${gateways[n % 2]!.url}${API}/orders`, { headers: { authorization: `Bearer ${token}`, 'x-forwarded-for': `198.51.100.${n}` } });
    statuses.push(response.status);
    await response.arrayBuffer();
  }
  t.same(statuses, [200, 200, 200, 200, 429, 429]);
});

t.test('events that have died in one service are seen, and tried again, from the gateway', async (t) => {
  await shop.until(async () => (await state()).backlog === 0, 'nothing to be left');
  isPoisoned = true;
  const { token } = await shop.customer();
  const orders = [await order(token), await order(token), await order(token)];
  await shop.until(async () => (await state()).dead === 3, 'three dead letters');
  const shown: string[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const { body } = await events('GET', `/dead-letters?limit=1&subscriber=${SUBSCRIBER}${cursor && `&cursor=${cursor}`}`);
    shown.push(...body.items.map(({ event }: { event: { aggregateId: string } }) => event.aggregateId));
    cursor = body.nextCursor;
  }
  t.same(shown, orders, 'page by page, oldest first');
  isPoisoned = false;
  const unknown = '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10';
  t.match(await events('POST', '/dead-letters/redrive', { eventIds: [unknown] }), { status: 200, body: { redriven: 0, notFound: [unknown] } });
  t.match(await events('POST', '/dead-letters/redrive', { all: true }), { status: 200, body: { redriven: 3, notFound: [] } });
  await shop.until(async () => (await state()).backlog === 0, 'the backlog to be gone');
  t.equal((await state()).dead, 0);
});

t.test('a replay is made by the publisher, and found wherever it is', async (t) => {
  const asked = await events('POST', '/replays', { subscriber: SUBSCRIBER, type: PLACED, from: '2026-01-01T00:00:00Z' });
  t.equal(asked.status, 202);
  const done = await shop.until(async () => {
    const { body } = await events('GET', `/replays/${asked.body.id}`);
    return body.status === 'finished' && body;
  }, 'the replay to be finished');
  t.match(done, { subscriber: SUBSCRIBER, type: PLACED, replayed: 3 });
  t.match(await events('GET', '/replays/0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10'), { status: 404, body: { code: 'REPLAY_NOT_FOUND' } });
});

t.test('how far a subscriber is behind is counted between two databases', async (t) => {
  await shop.until(async () => (await state()).backlog === 0, 'nothing to be left');
  const { gate } = shop.hosting('notifications').host.module('notifications');
  await gate.close();
  const { token } = await shop.customer();
  for (let n = 0; n < 2; n += 1) await order(token);
  t.match(await state(), { backlog: 2, dead: 0 });
  gate.open();
  await shop.until(async () => (await state()).backlog === 0, 'the backlog to be gone');
});

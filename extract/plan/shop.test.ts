/** Plans for this project, and the command itself. */
import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { projectRoot } from '../../src/host/discover.ts';
import { emptyDatabase, testShop } from '../../src/testing/testing.ts';
import { UsageError } from '../command.ts';
import { command } from './command.ts';
import { type Plan, planFor } from './plan.ts';
import { readShop } from './shop.ts';
import { measure } from './sizes.ts';
import { readTraffic } from './traffic.ts';

const shop = await readShop(projectRoot);
const plan = (...modules: string[]): Plan => planFor(shop, modules, { sizes: new Map() });
const operations = (calls: Plan['callsIn']): string[] => calls.map(({ caller, callee, operation }) => `${caller} ${callee}.${operation}`);
const answers = ({ outage }: Plan): Record<string, string> => Object.fromEntries(outage.routes.map(({ route, verdict, sometimes }) => [route, sometimes ? `${verdict} at times` : verdict]));

void t.test('nothing keeps a module from leaving', async (t) => {
  for (const { contract: { name } } of shop.modules) {
    const { blockers, cautions } = plan(name);
    t.strictSame(blockers, [], name);
    t.strictSame(cautions.filter((text) => text.includes('no call of it was found')), [], `${name}: each dependency shows in the sources`);
  }
});

void t.test('each route of the shop is judged', async (t) => {
  const running = await testShop(t);
  const { body } = await running.request('GET', '/openapi.json');
  const documented = Object.entries(body.paths as Record<string, object>).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{([^}]+)\}/g, ':$1')}`));
  const own = documented.filter((route) => !/ \/(health|ready|metrics)$| \/api\/v1\/admin\/events\//.test(route));
  t.strictSame(plan('payments').outage.routes.map(({ route }) => route).sort(), own.sort());
});

void t.test('payments: orders are taken, and their charges wait', async (t) => {
  const found = plan('payments');
  t.strictSame(operations(found.callsOut), []);
  t.strictSame(operations(found.callsIn), ['orders payments.charge', 'orders payments.close', 'orders payments.open']);
  t.strictSame(found.offers.find(({ operation }) => operation === 'getOrderPayments')?.callers, []);
  t.match(answers(found), { 'POST /api/v1/orders': 'queued', 'GET /api/v1/orders': 'works', 'POST /api/v1/payments': '503', 'GET /api/v1/product-pages/:productId': 'works' });
  t.strictSame(found.eventsOut.map(({ type, subscribers }) => [type, subscribers]), [
    ['payments.payment-completed.v1', ['notifications.customer-messages', 'orders.fulfilment']],
    ['payments.payment-failed.v1', ['notifications.customer-messages', 'orders.fulfilment']],
    ['payments.payment-refunded.v1', ['orders.fulfilment']],
  ]);
  t.match(found.tables, [{ module: 'payments', tables: [{ name: 'payable', rows: null }, { name: 'payment' }] }]);
});

void t.test('what is set going is followed to its end, event by event', async (t) => {
  const because = (module: string, route: string) => plan(module).outage.routes.find((each) => each.route === route)?.because;
  t.match(answers(plan('inventory')), { 'POST /api/v1/payments': 'queued' });
  t.strictSame(because('inventory', 'POST /api/v1/payments'), ['the saga of orders waits for inventory.reserve', 'the saga of orders waits for inventory.release', 'the saga of orders waits for inventory.commit'], 'by the event of the payment');
  t.match(answers(plan('notifications')), { 'POST /api/v1/shipments/:id/dispatch': 'queued' });
  t.ok(because('notifications', 'POST /api/v1/shipments/:id/dispatch')?.includes('orders.order-shipped.v1 waits for notifications'), 'by that of the shipment, which makes orders publish another one');
});

void t.test('orders: what others need of it, and what it needs', async (t) => {
  const found = plan('orders');
  t.strictSame(operations(found.callsOut), ['orders catalog.getProducts', 'orders inventory.commit', 'orders inventory.release', 'orders inventory.reserve', 'orders payments.charge', 'orders payments.close', 'orders payments.open', 'orders shipping.cancelShipment', 'orders shipping.createShipment']);
  t.strictSame(operations(found.callsIn), ['notifications orders.recordFacts', 'recommendations orders.listOrders', 'support orders.getOrder', 'support orders.recordFacts']);
  t.match(answers(found), { 'POST /api/v1/tickets': '503 at times', 'GET /api/v1/tickets': 'works', 'POST /api/v1/payments': 'queued' });
  t.match(found.requests, [{ route: 'POST /api/v1/orders', waitsFor: ['catalog.getProducts'] }, { route: 'POST /api/v1/orders/:id/cancel', waitsFor: ['shipping.cancelShipment'] }, { route: 'POST /api/v1/tickets', waitsFor: ['orders.getOrder'] }]);
});

void t.test('catalog: the product page needs it, the stock does without', async (t) => {
  const found = plan('catalog');
  t.match(answers(found), { 'POST /api/v1/orders': '503', 'GET /api/v1/product-pages/:productId': '503', 'GET /api/v1/recommendations/:productId': '503', 'GET /api/v1/inventory/:productId': 'degraded' });
  t.strictSame(found.callsIn.find(({ caller }) => caller === 'recommendations')?.occasions, [
    { route: 'GET /api/v1/recommendations/:productId', when: 'answer', sometimes: false, caught: false },
    { route: 'GET /api/v1/product-pages/:productId', when: 'answer', sometimes: false, caught: true },
  ], 'through other modules as well');
  t.match(answers(plan('inventory', 'recommendations', 'users')), { 'GET /api/v1/product-pages/:productId': 'degraded', 'POST /api/v1/orders': 'queued' });
  t.match(plan('users').cautions, [/^users signs tokens/]);
});

void t.test('orders, payments and shipping leave together', async (t) => {
  const found = plan('orders', 'payments', 'shipping');
  t.strictSame(operations(found.callsOut), ['orders catalog.getProducts', 'orders inventory.commit', 'orders inventory.release', 'orders inventory.reserve']);
  t.equal(found.callsInside.length, 5);
  t.notOk(found.eventsOut.some(({ subscribers }) => subscribers.includes('orders.fulfilment')));
});

void t.test('a running shop tells how often, and its database how much', async (t) => {
  const running = await testShop(t);
  const [customer, product] = [await running.customer(), await running.product()];
  const body = { items: [{ productId: product.id, quantity: 1 }], shippingAddress: { name: 'A', line1: '1 Street', city: 'B', postalCode: '1', country: 'DE' } };
  for (let n = 0; n < 3; n += 1) t.equal((await running.request('POST', '/api/v1/orders', { token: customer.token, body })).status, 201);
  const traffic = await readTraffic([`${running.url}/metrics`]);
  const { callsIn, tables, requests } = planFor(shop, ['catalog'], { traffic, sizes: new Map([['catalog', await measure(running.adminUrl, 'catalog')]]) });
  t.match(callsIn.find(({ caller }) => caller === 'orders')?.measured, { calls: 3, requests: 3, perRequest: 1 });
  t.match(requests.find(({ route }) => route === 'POST /api/v1/orders'), { counted: 3 });
  t.match(tables[0]?.tables.find(({ name }) => name === 'product'), { schema: 'catalog', rows: 1, isEstimate: false });
  const outbox = async () => (await measure(running.adminUrl, 'orders')).tables.find(({ schema, name }) => schema === 'orders_outbox' && name === 'job')!;
  const before = await outbox();
  await running.sql('orders_outbox', `insert into job (id, name, data, state) select gen_random_uuid(), 'events', jsonb_build_object('filler', repeat(md5(n::text), 10)), 'completed' from generate_series(1, 2000) n`);
  const { rows, bytes } = await outbox();
  t.equal(rows! - before.rows!, 2_000);
  t.ok(bytes - before.bytes > 500_000, `${bytes - before.bytes} bytes more: what lies in partitions counts`);
});

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function extract(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const script = join(projectRoot, 'extract', 'extract.ts');
  return new Promise((resolve) => {
    execFile(process.execPath, [script, ...args], { env: { ...process.env, ...env } }, (error, stdout, stderr) => resolve({ code: error ? Number(error.code) : 0, stdout, stderr }));
  });
}

void t.test('the command prints JSON for scripts, sizes included', async (t) => {
  const database = await emptyDatabase();
  t.teardown(() => database.drop());
  const { code, stdout } = await extract(['plan', 'payments', '--json'], { DATABASE_URL: database.adminUrl, DATA_DIR: t.testdir() });
  t.equal(code, 0);
  t.match(JSON.parse(stdout), { version: 1, modules: ['payments'], traffic: null, tables: [{ unmeasured: 'the database holds nothing of payments' }] });
});

void t.test('what makes no sense is refused with a sentence', async (t) => {
  t.match(await extract(['plan', 'payment']), { code: 2, stderr: /^there is no module payment\.\nThere are catalog, / });
  const refused: unknown = await command.run([]).catch((error: unknown) => error);
  t.ok(refused instanceof UsageError);
  t.match(refused, { message: 'plan needs the modules that shall leave', remedy: /^There are catalog, / });
  await t.rejects(command.run(['payments', '--metrics', 'here']), { message: /^--metrics is "here", but must be an http or https URL/ });
  t.match(command.help, /^npm run extract -- plan <module>/);
  t.match(await extract(['serve', 'payments', '--stub-peers'], { NODE_ENV: 'production' }), { code: 2, stderr: /^--stub-peers makes up what other modules would say, and NODE_ENV is production\./ });
});

void t.test('a shop that is named must answer with metrics', async (t) => {
  const server = createServer((_request, response) => response.end('hello')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`;
  t.match(await extract(['plan', 'payments', '--metrics', url]), { code: 1, stdout: '', stderr: `${url} shows no metrics of a shop: it answers with something else.\nName the /metrics of a shop that runs, or leave --metrics out.\n` });
});

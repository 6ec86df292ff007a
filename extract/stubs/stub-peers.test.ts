/** Each module runs with nothing else there: its own process, its own database, and stand-ins for the others. */
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import t from 'tap';
import { type Host, startHost } from '../../src/host/host.ts';
import { discoverModules } from '../../src/host/discover.ts';
import { checkSettings, kernelSettings, type KernelSettings } from '../../src/settings/settings.ts';
import { testEnvironment } from '../../src/testing/environment.ts';
import { emptyDatabase, TEST_ROLE_PREFIX, type TestScope } from '../../src/testing/testing.ts';
import { stubPeers } from './stub-peers.ts';
import { preparedFor, stubTokens } from './stub-tokens.ts';

const ID = '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10';
const modules = await discoverModules();
const tokens = await stubTokens();

/** A module among stand-ins. */
async function alone(t: TestScope, module: string, settings: Record<string, string> = {}): Promise<Host> {
  const database = await emptyDatabase();
  t.teardown(() => database.drop());
  const hosted = modules.filter(({ contract }) => contract.name === module);
  const { values } = checkSettings({ kernel: kernelSettings, ...Object.fromEntries(hosted.map((each) => [each.contract.name, each.settings])) }, { ...testEnvironment, ...settings });
  const peers = stubPeers({ prepared: preparedFor(tokens), customerId: tokens.users.customer });
  const kernel = { ...(values['kernel'] as KernelSettings), DATABASE_ROLE_PREFIX: TEST_ROLE_PREFIX };
  const host = await startHost({ modules, hosted: [module], peers, adminUrl: database.adminUrl, settings: kernel, moduleSettings: values, log: pino({ level: 'silent' }), alone: true });
  t.teardown(() => host.stop());
  return host;
}

interface Asked {
  readonly method?: string;
  readonly path: string;
  readonly as?: 'customer' | 'admin';
  readonly body?: unknown;
}

async function ask({ url }: Pick<Host, 'url'>, { method = 'GET', path, as, body }: Asked) {
  const headers = { ...(as && { authorization: `Bearer ${tokens.sign(as)}` }), ...(body !== undefined && { 'content-type': 'application/json' }) };
  const response = await fetch(`${url}${path}`, { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) });
  const text = await response.text();
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests look into bodies of any shape
  return { status: response.status, body: (text.startsWith('{') ? JSON.parse(text) : text) as any };
}

async function metricsOf(host: Host): Promise<string> {
  return (await ask(host, { path: '/metrics' })).body;
}

async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error(`waited 10 s for ${what}`);
    await sleep(10);
  }
}

const order = {
  items: [{ productId: ID, quantity: 2 }],
  shippingAddress: { name: 'A', line1: '1 Street', city: 'B', postalCode: '1', country: 'DE' },
  payment: { method: 'card', cardToken: 'tok_visa' },
};

/** A route of each module that shows that it works, and what it must answer. */
const trials: Readonly<Record<string, Asked & { readonly status: number; readonly answer: object }>> = {
  catalog: { method: 'POST', path: '/api/v1/products', as: 'admin', body: { name: 'A lamp', description: '', price: { amount: 5, currency: 'USD' } }, status: 201, answer: { name: 'A lamp' } },
  inventory: { method: 'PUT', path: `/api/v1/inventory/${ID}`, as: 'admin', body: { onHand: 7 }, status: 200, answer: { productId: ID, available: 7 } },
  notifications: { path: '/api/v1/notifications', as: 'customer', status: 200, answer: { items: [] } },
  orders: { method: 'POST', path: '/api/v1/orders', as: 'customer', body: order, status: 201, answer: { customerId: tokens.users.customer, total: { amount: 3998 } } },
  payments: { path: `/api/v1/payments?orderId=${ID}`, as: 'customer', status: 200, answer: { items: [] } },
  recommendations: { path: `/api/v1/recommendations/${ID}`, status: 200, answer: { items: [] } },
  shipping: { path: `/api/v1/shipments?orderId=${ID}`, as: 'admin', status: 200, answer: { items: [] } },
  storefront: { path: `/api/v1/product-pages/${ID}`, as: 'customer', status: 200, answer: { product: { id: ID }, inventory: { productId: ID }, viewer: { id: tokens.users.customer }, degraded: [] } },
  support: { method: 'POST', path: '/api/v1/tickets', as: 'customer', body: { subject: 'Late', body: 'Where is it?', orderId: ID }, status: 201, answer: { orderId: ID } },
  users: { method: 'POST', path: '/api/v1/users', body: { username: 'somebody', email: 'somebody@example.com', password: 'a long enough password' }, status: 201, answer: { username: 'somebody' } },
};

void t.test('there is a trial of each module', async (t) => {
  t.strictSame(Object.keys(trials).sort(), modules.map(({ contract }) => contract.name).sort());
});

for (const [module, { status, answer, ...asked }] of Object.entries(trials)) {
  void t.test(`${module} runs with nothing else there`, async (t) => {
    const host = await alone(t, module);
    t.match(await ask(host, { path: '/ready' }), { status: 200, body: { ready: true } });
    t.match(await ask(host, { path: '/health' }), { status: 200, body: { status: 'healthy' } });
    const { paths } = (await ask(host, { path: '/openapi.json' })).body as { paths: object };
    t.ok(Object.keys(paths).some((path) => path.startsWith('/api/v1/')), 'it describes its routes');
    t.match(await ask(host, asked), { status, body: answer });
  });
}

void t.test('an order among stand-ins is fulfilled, and its events are taken', async (t) => {
  const host = await alone(t, 'orders');
  const { body: placed } = await ask(host, { method: 'POST', path: '/api/v1/orders', as: 'customer', body: order });
  await until('the order to be confirmed', async () => (await ask(host, { path: `/api/v1/orders/${placed.id}`, as: 'customer' })).body.status === 'confirmed');
  const taken = 'cleave_stub_events_total{subscriber="notifications.customer-messages",event="orders.order-placed.v1"} 1';
  await until('its event to be taken', async () => (await metricsOf(host)).includes(taken));
  const metrics = await metricsOf(host);
  t.match(metrics, /cleave_operation_duration_seconds_count\{module="payments",operation="charge",caller="orders",outcome="ok"\} 1/);
});

void t.test('tokens tell roles apart, and others are refused', async (t) => {
  const host = await alone(t, 'shipping');
  t.equal((await ask(host, { method: 'POST', path: `/api/v1/shipments/${ID}/dispatch`, as: 'customer' })).status, 403);
  t.equal((await ask(host, { method: 'POST', path: `/api/v1/shipments/${ID}/dispatch`, as: 'admin' })).status, 404);
  const foreign = await stubTokens();
  const response = await fetch(`${host.url}/api/v1/shipments/${ID}`, { headers: { authorization: `Bearer ${foreign.sign('admin')}` } });
  t.equal(response.status, 401);
});

/**
 * A new version of the shop brings a column for every table there is. The old process goes on running meanwhile, under
 * load, until the new one has taken over half of it: no request fails, and every order comes to its end.
 */
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { projectRoot } from '../../src/host/discover.ts';
import { type Asked, type Customer, deploy, type Deployment, type Shop, shippingAddress, until } from './deployment.testing.ts';

t.setTimeout(240_000);

const brisk = { SAGA_RETRY_BASE_MS: '20', SAGA_RETRY_MAX_MS: '200', EVENT_RETRY_BASE_MS: '20', EVENT_RETRY_MAX_MS: '200', SIGN_IN_ADDRESS_FAILURES: '100000' };
const BUYERS = 3;

interface Table {
  readonly schema: string;
  readonly name: string;
}

const deployment = await deploy(t, brisk);
const old = await deployment.start();
const [admin, buyers] = [await old.admin(), await Promise.all(Array.from({ length: BUYERS }, async () => old.customer()))];
const products = await Promise.all(Array.from({ length: 5 }, async () => old.product(admin, { stock: 1_000_000 })));

/** The tables of modules, and the kernel's own beside them; pg-boss's are its own business. */
async function tables({ sql }: Deployment): Promise<Table[]> {
  return sql<Table>(`select schemaname as schema, tablename as name from pg_tables
    where exists (select from pg_namespace where nspname in (schemaname || '_outbox', schemaname) and schemaname || '_outbox' in (select nspname from pg_namespace))
       or (schemaname like '%\\_outbox' and tablename in ('inbox', 'event_delivery', 'saga', 'note'))
    order by 1, 2`);
}

/** The project's migrations and one more for each module, as a new version of the shop would have them. */
async function migrationsOfTheNext(all: readonly Table[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'cleave-next-'));
  t.teardown(async () => rm(folder, { recursive: true }));
  await cp(join(projectRoot, 'migrations'), folder, { recursive: true });
  for (const [schema, own] of Map.groupBy(all, (table) => table.schema)) {
    if (schema.endsWith('_outbox')) continue;
    await writeFile(join(folder, schema, '9000-one-more-column.sql'), own.map(({ name }) => `alter table ${name} add column one_more text not null default 'x';`).join('\n'));
  }
  return folder;
}

/** Everything that a customer and an administrator do, over and over; whatever is not answered as it should be is kept. */
class Load {
  readonly failures: string[] = [];
  readonly orders: string[] = [];
  requests = 0;
  #over = false;
  readonly #shops: Shop[];
  readonly #workers: Promise<void>[];

  constructor(shops: Shop[]) {
    this.#shops = shops;
    this.#workers = [...buyers.map(async (buyer) => this.#repeat(async () => this.#buy(buyer))), this.#repeat(async () => this.#manage()), this.#repeat(async () => this.#browse())];
  }

  async end(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#workers);
  }

  async #repeat(round: () => Promise<void>): Promise<void> {
    while (!this.#over) await round().catch((error: unknown) => this.failures.push(String(error)));
  }

  async #do(method: string, path: string, asked: Asked = {}) {
    this.requests += 1;
    return this.#shops[this.requests % this.#shops.length]!.do(method, path, asked);
  }

  async #buy({ token }: Customer): Promise<void> {
    const items = products.slice(0, 2).map((productId) => ({ productId, quantity: 1 }));
    const { id } = await this.#do('POST', '/orders', { token, body: { items, shippingAddress, payment: { method: 'card', cardToken: 'tok_visa' } } });
    this.orders.push(id);
    for (const path of [`/orders/${id}`, '/orders?limit=5', `/orders/${id}/history`, `/payments?orderId=${id}`, `/shipments?orderId=${id}`, '/notifications?limit=5', '/users/me']) await this.#do('GET', path, { token });
    await this.#do('PATCH', '/users/me', { token, body: { phone: `+4930${String(this.requests).padStart(7, '0')}` } });
    const later = await this.#do('POST', '/orders', { token, body: { items, shippingAddress } });
    await this.#do('POST', `/orders/${later.id}/cancel`, { token });
  }

  async #manage(): Promise<void> {
    const { id } = await this.#do('POST', '/products', { token: admin, body: { name: 'Samovar', description: 'Boils', price: { amount: 100, currency: 'USD' } } });
    await this.#do('PATCH', `/products/${id}`, { token: admin, body: { price: { amount: 200, currency: 'USD' } } });
    await this.#do('POST', `/inventory/${products[4]}/adjustments`, { token: admin, body: { delta: 1, reason: 'found' } });
    await this.#do('DELETE', `/products/${id}`, { token: admin });
    await this.#do('POST', '/categories', { token: admin, body: { name: `Category ${this.requests} ${id}` } });
    const order = this.orders.find((each) => !this.#sent.has(each));
    if (order) await this.#send(order);
  }

  readonly #sent = new Set<string>();

  async #send(order: string): Promise<void> {
    this.#sent.add(order);
    const shipment = await until(async () => (await this.#do('GET', `/shipments?orderId=${order}`, { token: admin })).items[0], `the shipment of ${order}`);
    await this.#do('POST', `/shipments/${shipment.id}/dispatch`, { token: admin });
    const [payment] = (await this.#do('GET', `/payments?orderId=${order}`, { token: admin })).items;
    await this.#do('POST', `/payments/${payment.id}/refund`, { token: admin, body: { amount: { amount: 1, currency: 'USD' }, reason: 'scratched' } });
  }

  async #browse(): Promise<void> {
    for (const path of ['/products?limit=10', '/products/search?q=teapot', `/products/${products[3]}`, `/inventory/${products[3]}`, '/categories']) await this.#do('GET', path);
  }
}

t.test('a column more in every table, under load', async (t) => {
  const all = await tables(deployment);
  t.ok(all.length > 20, `${all.length} tables`);
  const migrations = await migrationsOfTheNext(all);
  const shops = [old];
  const load = new Load(shops);
  await until(async () => load.orders.length >= 8, 'the load to be under way');

  const next = await deployment.start({}, migrations);
  for (const { schema, name } of all.filter((table) => table.schema.endsWith('_outbox'))) await addColumn(schema, name);
  const added = await deployment.sql(`select 1 from information_schema.columns where column_name = 'one_more'`);
  t.equal(added.length, all.length, 'each has got it');
  const before = load.orders.length;
  await until(async () => load.orders.length >= before + 8, 'the old process to go on');
  shops.push(next);
  await until(async () => load.orders.length >= before + 20, 'both to go on');
  await load.end();

  t.same(load.failures, [], `of ${load.requests} requests`);
  await until(async () => {
    const [open] = await deployment.sql<{ open: number }>(`select count(*)::int as open from orders.customer_order where status in ('pending', 'awaiting_payment', 'paid')`);
    return open!.open === 0;
  }, 'every order to come to its end');
  const dead = await Promise.all(all.filter(({ name }) => name === 'event_delivery').map(async ({ schema }) => deployment.sql(`select last_error from ${schema}.event_delivery where state = 'dead'`)));
  t.same(dead.flat(), []);
});

/** As the kernel's own migrations do it. */
async function addColumn(schema: string, table: string): Promise<void> {
  for (;;) {
    const done = await deployment.sql(`set lock_timeout = 500; alter table ${schema}.${table} add column one_more text not null default 'x'`).then(() => true, () => false);
    if (done) return;
    await sleep(200);
  }
}

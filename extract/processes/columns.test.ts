/**
 * A new version of the shop brings a column for every table there is. The old process goes on running meanwhile, under
 * load, until the new one has taken over half of it: no request fails, and every order comes to its end.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { projectRoot } from '../../src/host/discover.ts';
import { type Asked, type Customer, deploy, type Deployment, PASSWORD, type Shop, shippingAddress, until } from './deployment.testing.ts';

t.setTimeout(240_000);

const brisk = { SAGA_RETRY_BASE_MS: '20', SAGA_RETRY_MAX_MS: '200', EVENT_RETRY_BASE_MS: '20', EVENT_RETRY_MAX_MS: '200', EVENT_POLL_MS: '200', SIGN_IN_ADDRESS_FAILURES: '100000' };
const BUYERS = 3;
/** One event at the least, and not all that there ever were. */
const REPLAYED_MS = 2_000;
const ROUND_MS = 60_000;

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

/** Everything that a customer, a stranger and an administrator do, over and over; whatever is not answered as it should be is kept. */
class Load {
  readonly failures: string[] = [];
  readonly orders: string[] = [];
  requests = 0;
  #over = false;
  readonly #shops: Shop[];
  readonly #workers: Promise<void>[];
  /** That have been made by each of them. */
  readonly #rounds: number[];

  constructor(shops: Shop[]) {
    this.#shops = shops;
    const rounds = [...buyers.map((buyer) => async () => this.#buy(buyer)), async () => this.#manage(), async () => this.#browse(), async () => this.#join(), async () => this.#operate()];
    this.#rounds = rounds.map(() => 0);
    this.#workers = rounds.map(async (round, worker) => this.#repeat(round, worker));
  }

  /** Resolves when all that is done has been done once more, from its beginning to its end. */
  async wholeRound(what: string): Promise<void> {
    const before = [...this.#rounds];
    // The one that is in hand began earlier.
    await until(async () => this.#rounds.every((made, worker) => made >= before[worker]! + 2), what, ROUND_MS);
  }

  async end(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#workers);
  }

  async #repeat(round: () => Promise<void>, worker: number): Promise<void> {
    while (!this.#over) {
      await round().catch((error: unknown) => this.failures.push(String(error)));
      this.#rounds[worker]! += 1;
    }
  }

  get #next(): Shop {
    this.requests += 1;
    return this.#shops[this.requests % this.#shops.length]!;
  }

  async #ask(method: string, path: string, asked: Asked) {
    return this.#next.ask(method, path, asked);
  }

  async #do(method: string, path: string, asked: Asked = {}) {
    return this.#next.do(method, path, asked);
  }

  async #buy({ token }: Customer): Promise<void> {
    const items = products.slice(0, 2).map((productId) => ({ productId, quantity: 1 }));
    const { id } = await this.#do('POST', '/orders', { token, headers: { 'idempotency-key': randomUUID() }, body: { items, shippingAddress, payment: { method: 'card', cardToken: 'tok_visa' } } });
    this.orders.push(id);
    for (const path of [`/orders/${id}`, '/orders?limit=5', `/orders/${id}/history`, `/payments?orderId=${id}`, `/shipments?orderId=${id}`, '/notifications?limit=5', '/users/me']) await this.#do('GET', path, { token });
    await this.#do('PATCH', '/users/me', { token, body: { phone: `+4930${String(this.requests).padStart(7, '0')}` } });
    const later = await this.#do('POST', '/orders', { token, body: { items, shippingAddress } });
    await this.#do('POST', `/orders/${later.id}/cancel`, { token });
    await this.#pay(token, (await this.#do('POST', '/orders', { token, body: { items, shippingAddress } })).id);
    await this.#complain(token, id);
  }

  async #pay(token: string, orderId: string): Promise<void> {
    await until(async () => (await this.#do('GET', `/orders/${orderId}`, { token })).status === 'awaiting_payment', `${orderId} to wait for its payment`);
    const { id } = await this.#do('POST', '/payments', { token, headers: { 'idempotency-key': randomUUID() }, body: { orderId, method: 'card', cardToken: 'tok_visa' } });
    await this.#do('GET', `/payments/${id}`, { token });
  }

  async #complain(token: string, orderId: string): Promise<void> {
    const { id } = await this.#do('POST', '/tickets', { token, body: { subject: 'The lid', body: 'It does not fit.', orderId } });
    await this.#do('GET', '/tickets?limit=5', { token });
    await this.#do('POST', `/tickets/${id}/messages`, { token: admin, body: { body: 'Turn it round.' } });
    await this.#do('GET', `/tickets/${id}`, { token });
    await this.#do('POST', `/tickets/${id}/close`, { token });
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
    await this.#do('POST', `/shipments/${shipment.id}/deliver`, { token: admin });
    await this.#do('GET', `/shipments/${shipment.id}`, { token: admin });
    const [payment] = (await this.#do('GET', `/payments?orderId=${order}`, { token: admin })).items;
    await this.#do('POST', `/payments/${payment.id}/refund`, { token: admin, headers: { 'idempotency-key': randomUUID() }, body: { amount: { amount: 1, currency: 'USD' }, reason: 'scratched' } });
  }

  async #browse(): Promise<void> {
    for (const path of ['/products?limit=10', '/products/search?q=teapot', `/products/${products[3]}`, `/inventory/${products[3]}`, '/categories', `/recommendations/${products[0]}`, `/product-pages/${products[0]}`]) await this.#do('GET', path);
    await this.#do('GET', `/product-pages/${products[0]}`, { token: buyers[0]!.token });
  }

  async #join(): Promise<void> {
    const username = `c_${randomBytes(5).toString('hex')}`;
    const { id } = await this.#do('POST', '/users', { body: { username, email: `${username}@example.com`, password: PASSWORD } });
    const wrong = await this.#ask('POST', '/users/authenticate', { body: { username, password: 'not the password' } });
    if (wrong.status !== 401) throw new Error(`a wrong password was answered with ${wrong.status}: ${JSON.stringify(wrong.body)}`);
    const { token } = await this.#do('POST', '/users/authenticate', { body: { username, password: PASSWORD } });
    await this.#do('GET', `/users/${id}`, { token });
    await this.#do('PATCH', `/users/${id}`, { token: admin, body: { role: 'support' } });
  }

  async #operate(): Promise<void> {
    const { subscribers } = await this.#do('GET', '/admin/events/subscribers', { token: admin });
    if (subscribers.some(({ dead }: { dead: number }) => dead > 0)) throw new Error(`there are dead letters: ${JSON.stringify((await this.#do('GET', '/admin/events/dead-letters', { token: admin })).items)}`);
    await this.#do('GET', '/admin/events/dead-letters?limit=5', { token: admin });
    await this.#do('POST', '/admin/events/dead-letters/redrive', { token: admin, body: { eventIds: [randomUUID()] } });
    const from = new Date(Date.now() - REPLAYED_MS).toISOString();
    const { id } = await this.#do('POST', '/admin/events/replays', { token: admin, body: { subscriber: subscribers[0].subscriber, type: subscribers[0].types[0], from } });
    await this.#do('POST', '/admin/recommendations/rebuild', { token: admin });
    await until(async () => (await this.#do('GET', `/admin/events/replays/${id}`, { token: admin })).status === 'finished', 'a replay to be finished');
    await until(async () => (await this.#do('GET', '/admin/recommendations/rebuild', { token: admin })).status !== 'running', 'what is bought together to be counted');
  }
}

t.test('a column more in every table, under load', async (t) => {
  const all = await tables(deployment);
  t.ok(all.length > 20, `${all.length} tables`);
  const migrations = await migrationsOfTheNext(all);
  const shops = [old];
  const load = new Load(shops);
  t.teardown(async () => load.end());
  await until(async () => load.orders.length >= BUYERS, 'the load to be under way');

  const next = await deployment.start({}, migrations);
  for (const { schema, name } of all.filter((table) => table.schema.endsWith('_outbox'))) await addColumn(schema, name);
  const added = await deployment.sql(`select 1 from information_schema.columns where column_name = 'one_more'`);
  t.equal(added.length, all.length, 'each has got it');
  await load.wholeRound('the old process to go on');
  shops.push(next);
  await load.wholeRound('both to go on');
  await load.end();

  t.same(load.failures, [], `of ${load.requests} requests`);
  await until(async () => (await untouched()).length === 0, 'each table to have been written to').catch(() => undefined);
  t.same(await untouched(), [], 'nothing is spared: whoever adds a table adds to the load what writes to it');
  await until(async () => {
    const [open] = await deployment.sql<{ open: number }>(`select count(*)::int as open from orders.customer_order where status in ('pending', 'awaiting_payment', 'paid')`);
    return open!.open === 0;
  }, 'every order to come to its end');
  const dead = await Promise.all(all.filter(({ name }) => name === 'event_delivery').map(async ({ schema }) => deployment.sql(`select last_error from ${schema}.event_delivery where state = 'dead'`)));
  t.same(dead.flat(), []);
});

/** What is used of the kernel's own tables: not every module has sagas or subscribers, and deliveries are for what goes wrong. */
const inOutboxes = ['orders_outbox.saga', 'orders_outbox.note', ...['inventory', 'notifications', 'orders', 'recommendations', 'support'].map((module) => `${module}_outbox.inbox`)];

/** Tables that nobody has written to, as far as the server has counted: those of modules, and those of outboxes that are used. */
async function untouched(): Promise<string[]> {
  const rows = await deployment.sql<{ name: string }>(
    `select schemaname || '.' || relname as name from pg_stat_user_tables
     where (schemaname || '_outbox' in (select nspname from pg_namespace) or schemaname || '.' || relname = any($1)) and n_tup_ins = 0 order by 1`,
    [inOutboxes],
  );
  return rows.map(({ name }) => name);
}

/** As the kernel's own migrations do it. */
async function addColumn(schema: string, table: string): Promise<void> {
  for (;;) {
    const done = await deployment.sql(`set lock_timeout = 500; alter table ${schema}.${table} add column one_more text not null default 'x'`).then(() => true, () => false);
    if (done) return;
    await sleep(200);
  }
}

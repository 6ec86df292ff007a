/** `npm start` as a user has it: two starts, a kill in between, a clean end, two at a time, and what a mistake is answered with. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import t from 'tap';
import { startEmbedded } from './database/embedded/embedded.ts';
import { projectRoot } from './host/discover.ts';
import { emptyDatabase, TEST_ROLE_PREFIX } from './testing/database.ts';
import { freePort } from './testing/free-port.ts';
import { until } from './testing/until.ts';

t.setTimeout(180_000);

const dataDir = await mkdtemp(join(tmpdir(), 'cleave-start-'));
const running = new Set<ChildProcess>();
t.teardown(async () => {
  // After a failure: whoever holds the output keeps this file from ending.
  for (const { pid } of running) process.kill(-pid!, 'SIGKILL');
  const { stop } = await startEmbedded({ dataDir });
  await stop();
  await rm(dataDir, { recursive: true, force: true });
});

interface Started {
  readonly npm: ChildProcess;
  readonly url: string;
  output(): string;
}

function npmStart(env: Record<string, string>): { npm: ChildProcess; output(): string } {
  let output = '';
  const npm = spawn('npm', ['start', '--silent'], { cwd: projectRoot, detached: true, env: { ...process.env, DATABASE_URL: '', DATA_DIR: dataDir, LOG_LEVEL: 'error', ...env } });
  running.add(npm);
  npm.once('exit', () => running.delete(npm));
  for (const stream of [npm.stdout, npm.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  return { npm, output: () => output };
}

async function started(env: Record<string, string> = {}): Promise<Started> {
  const PORT = String(await freePort());
  const { npm, output } = npmStart({ PORT, ...env });
  const url = `http://127.0.0.1:${PORT}`;
  for (let i = 0; i < 1_200 && npm.exitCode === null; i += 1) {
    if (/is up after/.test(output()) && (await fetch(`${url}/ready`).catch(() => undefined))?.ok) return { npm, url, output };
    await sleep(50);
  }
  throw new Error(`the shop did not become ready: ${output()}`);
}

/** Ends the whole group, npm and shell included, as Ctrl-C or a crash of the machine's user would. */
async function end({ npm }: { npm: ChildProcess }, signal: NodeJS.Signals): Promise<number | null> {
  const ended = once(npm, 'exit') as Promise<[number | null]>;
  process.kill(-npm.pid!, signal);
  return (await ended)[0];
}

async function request(url: string, path: string, body?: unknown): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(url + path, body === undefined ? {} : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

async function readKept(file: string, folder = dataDir): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(join(folder, file), 'utf8')) as Record<string, unknown>;
}

const account = { username: 'restart', email: 'restart@example.com', password: 'kept over a kill' };

t.test('the first start prints where to go, and the demo catalog is there', async (t) => {
  const shop = await started();
  t.match(shop.output(), /Administrator: admin, password \S+/);
  t.match(shop.output(), /API docs {2}http:\S+\/docs/);
  t.match(shop.output(), `DATA_DIR=${dataDir} npm run demo`);
  const list = await request(shop.url, '/api/v1/products?limit=100');
  t.equal((list.body['items'] as unknown[]).length, 100);
  t.equal((await request(shop.url, '/api/v1/users', account)).status, 201);
  t.equal(await end(shop, 'SIGKILL'), null);
});

t.test('after kill -9 it just starts; the database that was left running is adopted, what was acknowledged is there', async (t) => {
  const shop = await started();
  t.match(shop.output(), /The database was running already/);
  t.notMatch(shop.output(), /Administrator:/, 'the first password is told once');
  t.equal((await request(shop.url, '/api/v1/users/authenticate', { username: account.username, password: account.password })).status, 200);
  t.equal(await end(shop, 'SIGINT'), 0, `Ctrl-C ends it cleanly: ${shop.output()}`);
});

t.test('a start after a clean end finds no database running', async (t) => {
  const shop = await started();
  t.notMatch(shop.output(), /The database was running already/);
  t.match(await readKept('running.json'), { url: shop.url, admin: 'admin.json' }, 'the demo finds it, and the password');
  t.match(await readKept('admin.json'), { username: 'admin' });
  shop.npm.kill('SIGTERM');
  t.equal(((await once(shop.npm, 'exit')) as [number])[0], 0, `SIGTERM to npm ends it cleanly: ${shop.output()}`);
});

t.test('a password that is set takes back the one that was kept, and a shop that has ended is not announced', async (t) => {
  const shop = await started({ ADMIN_PASSWORD: 'another one altogether' });
  await t.rejects(readKept('admin.json'), { code: 'ENOENT' });
  t.equal(await end(shop, 'SIGTERM'), 0);
  await t.rejects(readKept('running.json'), { code: 'ENOENT' });
});

const PATIENCE_MS = 30_000;

/** A customer or an administrator at one of two shops that may be busy: what is turned away is asked for again. */
class Visitor {
  readonly #url: string;
  readonly #token: string | undefined;

  constructor(url: string, token?: string) {
    this.#url = url;
    this.#token = token;
  }

  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- bodies of any shape
  async ask(path: string, body?: unknown): Promise<any> {
    const headers = { 'content-type': 'application/json', 'idempotency-key': randomUUID(), ...(this.#token !== undefined && { authorization: `Bearer ${this.#token}` }) };
    const init = body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) };
    return until(async () => {
      const response = await fetch(`${this.#url}/api/v1${path}`, init);
      if (!response.ok && response.status !== 503) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
      return response.ok && ((await response.json()) as unknown);
    }, `${path} to be answered`, PATIENCE_MS);
  }

  /** The same person, or a new one, at this or the other shop. */
  async signedIn(username: unknown, password: unknown, at = this.#url): Promise<Visitor> {
    const { token } = await new Visitor(at).ask('/users/authenticate', { username, password });
    return new Visitor(at, token as string);
  }
}

/** Orders one piece. @returns the order's id */
async function buy(customer: Visitor, productId: string): Promise<string> {
  const shippingAddress = { name: 'Grace Hopper', line1: '1 Harbour Street', city: 'Arlington', postalCode: '22201', country: 'US' };
  const { id } = await customer.ask('/orders', { items: [{ productId, quantity: 1 }], shippingAddress, payment: { method: 'card', cardToken: 'tok_visa' } });
  return id as string;
}

/** What is told of an order that has been confirmed, once no subscriber has anything left to do. */
async function toldOf(order: string, customer: Visitor, admin: Visitor): Promise<{ history: string[]; mails: number; payments: number }> {
  await until(async () => (await customer.ask(`/orders/${order}`)).status === 'confirmed', `the order ${order} to be confirmed`, PATIENCE_MS);
  await until(async () => (await admin.ask('/admin/events/subscribers')).subscribers.every(({ backlog }: { backlog: number }) => backlog === 0), 'all events to be handled', PATIENCE_MS);
  const [history, mails, payments] = [await customer.ask(`/orders/${order}/history`), await customer.ask('/notifications?limit=100'), await customer.ask(`/payments?orderId=${order}`)];
  return {
    history: history.map(({ event }: { event: string }) => event).filter((event: string) => event !== 'message_sent'),
    mails: mails.items.filter(({ body, channel }: { body: string; channel: string }) => channel === 'email' && body.includes(order)).length,
    payments: payments.items.length,
  };
}

const ONCE = { history: ['order_placed', 'stock_reserved', 'payment_completed', 'order_paid', 'stock_committed', 'order_confirmed'], mails: 2, payments: 1 };

t.test('two first starts at the same moment on one empty database are one shop, and one goes on without the other', async (t) => {
  const [database, folder] = [await emptyDatabase(), t.testdir()];
  const client = new pg.Client({ connectionString: database.adminUrl });
  await client.connect();
  t.teardown(async () => {
    await client.end();
    await database.drop();
  });
  const env = { DATABASE_URL: database.adminUrl, DATABASE_ROLE_PREFIX: TEST_ROLE_PREFIX, DATA_DIR: folder };
  const shops = await Promise.all([started(env), started(env)]);

  const told = shops.flatMap(({ output }) => [...output().matchAll(/Administrator: (\S+), password (\S+)/g)]);
  t.equal(told.length, 1, 'the password of the one administrator is told once');
  const announced = await readKept('running.json', folder);
  const [username, password] = told[0]!.slice(1);
  t.strictSame(await readKept(String(announced['admin']), folder), { username, password }, 'and kept for both');
  const [first, second] = shops.toSorted(({ url }) => (url === announced['url'] ? 1 : -1)) as [Started, Started];
  t.equal(announced['url'], second.url, 'the demo finds the one that came last');
  const admins = await Promise.all([first, second].map(async ({ url }) => new Visitor(url).signedIn(username, password)));

  const catalogs = await Promise.all([first, second].map(async ({ url }) => new Visitor(url).ask('/products?limit=100')));
  t.equal(catalogs[0].items.length, 100);
  t.strictSame(catalogs[0], catalogs[1], 'the same here and there');
  const { rows: shelves } = await client.query<{ id: string; name: string; onHand: number; put: number; times: number }>(
    `select product.id, name, coalesce(stock.on_hand, -1)::int as "onHand", coalesce(sum(delta), 0)::int as put, count(delta)::int as times
     from catalog.product left join inventory.stock on stock.product_id = product.id left join inventory.adjustment on adjustment.product_id = product.id
     group by 1, 2, 3 order by 3 desc`,
  );
  t.equal(new Set(shelves.map(({ name }) => name)).size, shelves.length, 'each product is there once');
  t.strictSame(shelves.filter(({ onHand, put, times }) => times !== Math.sign(onHand) || put !== onHand), [], 'and was put on the shelf once');

  const customer = `c_${randomUUID().slice(0, 8)}`;
  await new Visitor(first.url).ask('/users', { username: customer, email: `${customer}@example.com`, password: 'a long enough password' });
  const [here, there] = await Promise.all([first, second].map(async ({ url }) => new Visitor(url).signedIn(customer, 'a long enough password')));
  const { id, onHand } = shelves[0]!;
  t.strictSame(await toldOf(await buy(here!, id), there!, admins[1]!), ONCE, 'an order of the one is handled once, and seen at the other');
  t.equal((await there!.ask(`/inventory/${id}`)).available, onHand - 1);

  t.equal(await end(first, 'SIGTERM'), 0);
  t.strictSame(await readKept('running.json', folder), announced, 'the other one is announced still');
  t.strictSame(await toldOf(await buy(there!, id), there!, admins[1]!), ONCE, 'and goes on');
  t.equal((await there!.ask(`/inventory/${id}`)).available, onHand - 2);
  t.equal(await end(second, 'SIGTERM'), 0);
  await t.rejects(readKept('running.json', folder), { code: 'ENOENT' });
});

t.test('a database that a newer version has migrated is refused, and it is said what to do', async (t) => {
  const { url, stop } = await startEmbedded({ dataDir });
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(`insert into catalog_outbox.migration (schema, name, checksum) values ('catalog', '9999-of-tomorrow.sql', 'x')`);
  const PORT = String(await freePort());
  const { npm, output } = npmStart({ PORT });
  const [code] = (await once(npm, 'exit')) as [number];
  t.equal(code, 1);
  t.match(output(), /^(?:The database .*\n)?Cleave cannot start: the schema catalog was migrated by a newer version \(9999-of-tomorrow\.sql\)\.\nStart that version or a later one; migrations only go forward\.\n$/);
  await t.rejects(fetch(`http://127.0.0.1:${PORT}/health`), 'nobody listens');
  await t.rejects(readKept('running.json'), { code: 'ENOENT' }, 'and nobody is announced');
  await client.query(`delete from catalog_outbox.migration where name = '9999-of-tomorrow.sql'`);
  await client.end();
  await stop();
  t.equal(await end(await started(), 'SIGTERM'), 0, 'nothing was changed: who may start does');
});

t.test('every bad setting gets one sentence, all at once', async (t) => {
  const { npm, output } = npmStart({ PORT: 'eighty', LOG_LEVEL: 'loud', DATABASE_ROLE_PREFIX: 'pg_', JWT_PRIVATE_KEY: 'no key', ADMIN_PASSWORD: 'secret', SHIPPING_COUNTRIES: 'DE,XX', PAYMENT_TIMEOUT: 'soon' });
  const [code] = (await once(npm, 'exit')) as [number];
  t.equal(code, 2);
  const sentences = output().trim().split('\n');
  const bad = ['PORT', 'LOG_LEVEL', 'DATABASE_ROLE_PREFIX', 'JWT_PRIVATE_KEY', 'ADMIN_PASSWORD', 'SHIPPING_COUNTRIES', 'PAYMENT_TIMEOUT'];
  for (const name of bad) t.equal(sentences.filter((sentence) => sentence.startsWith(name)).length, 1, `one sentence for ${name}`);
  t.equal(sentences.length, bad.length, 'and nothing else');
  t.notMatch(output(), /no key|secret|\n {4}at /, 'no secret, no stack');
});

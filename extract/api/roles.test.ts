/**
 * Who may do what: every route of the shop, asked by everybody, for things of the owner's; and by support and an administrator for what
 * is theirs, too. The table is written by hand; the routes, and the properties by which they are told of things, are read from the shop,
 * so one without a row fails, as does a row without one.
 */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { type Reply, testShop } from '#testing';
import { Conformity, leadsTo, type Operation, type Schema } from './conformity.testing.ts';
import { storedAtRest } from './stored.testing.ts';
import { API, type Belongings, type Caller, callers, replayRequest, shippingAddress, World } from './world.testing.ts';

interface Row {
  /** Statuses for the anonymous, a stranger, the owner, support, an administrator. */
  readonly answers: string;
  /** Fills the path's parameters and adds a query. Asked anew for each caller where the request changes something. */
  readonly of?: (theirs: Theirs) => string | Promise<string>;
  readonly body?: (theirs: Theirs) => object | Promise<object>;
  /** Who finds what `of` names, or the owner's things, in the list. */
  readonly finds?: string;
}

/** What somebody has that rows name. */
interface Theirs {
  /** Its owner is who has it. */
  readonly world: World;
  readonly has: Belongings;
  /** An order that waits for its payment. */
  readonly waiting: string;
  readonly role: string;
  readonly notifications: readonly string[];
}

const shop = await testShop(t, { settings: { PAYMENT_ORDER_WAIT_MS: '0', EVENT_POLL_MS: '200' } });
const conformity = new Conformity((await shop.request('GET', '/openapi.json')).body);
const world = await World.create(shop);
const replay = await world.replay();
const shelf = (await shop.request('POST', `${API}/categories`, { ...world.as('admin'), body: { name: 'Everything' } })).body.id;
await shop.request('PATCH', `${API}/products/${world.product}`, { ...world.as('admin'), body: { categoryId: shelf } });
const owners = await belongingTo(world);

/** Everything that rows name of what its owner has. */
async function belongingTo(owned: World): Promise<Theirs> {
  const [has, waiting] = [await owned.belongings(), await owned.order()];
  const notifications = await shop.until(async () => {
    const { body } = await shop.request('GET', `${API}/notifications`, owned.as('owner'));
    return body.items.length > 0 && body.items.map(({ id }: { id: string }) => id);
  }, 'the owner to be told of an order');
  return { world: owned, has, waiting, role: 'customer', notifications };
}

const unique = (): string => `n${randomBytes(6).toString('hex')}`;
const registration = () => ({ username: unique(), email: `${unique()}@example.com`, password: 'a long enough password' });
const price = { amount: 100, currency: 'USD' };
const cent = { amount: 1, currency: 'USD' };
const order = () => ({ items: [{ productId: world.product, quantity: 1 }], shippingAddress });
const question = { subject: 'Where is it?', body: 'I am waiting.' };
const anybody = '200 200 200 200 200';

/** By route; behind it, where a query or a body names something by its id, the name of that property. */
const rows: Readonly<Record<string, Row>> = {
  'GET /health': { answers: anybody },
  'GET /ready': { answers: anybody },
  'GET /metrics': { answers: anybody },
  'GET /.well-known/jwks.json': { answers: anybody },

  'GET /admin/events/subscribers': { answers: '401 403 403 403 200' },
  'GET /admin/events/dead-letters': { answers: '401 403 403 403 200' },
  'POST /admin/events/dead-letters/redrive': { answers: '401 403 403 403 200', body: () => ({ all: true }) },
  'POST /admin/events/dead-letters/redrive eventIds': { answers: '401 403 403 403 200', body: ({ has }) => ({ eventIds: [has.order] }) },
  'POST /admin/events/replays': { answers: '401 403 403 403 202', body: () => replayRequest },
  'GET /admin/events/replays/{id}': { answers: '401 403 403 403 200', of: () => replay },

  'POST /users': { answers: '201 201 201 201 201', body: registration },
  'POST /users/authenticate': { answers: anybody, body: credentials },
  'GET /users/me': { answers: '401 200 200 200 200' },
  'PATCH /users/me': { answers: '401 200 200 200 200', body: () => ({ phone: null }) },
  'GET /users/{id}': { answers: '401 404 200 200 200', of: ({ world }) => world.user('owner').id },
  'PATCH /users/{id}': { answers: '401 403 403 403 200', of: ({ world }) => world.user('owner').id, body: ({ role }) => ({ role }) },

  'GET /products': { answers: anybody, finds: callers.join(' ') },
  'GET /products categoryId': { answers: anybody, of: () => `?categoryId=${shelf}`, finds: callers.join(' ') },
  'GET /products/search': { answers: anybody, of: () => '?q=product' },
  'GET /products/{id}': { answers: anybody, of: () => world.product },
  'POST /products': { answers: '401 403 403 403 201', body: () => ({ name: 'A lamp', description: '', price }) },
  'POST /products categoryId': { answers: '401 403 403 403 201', body: () => ({ name: 'A lamp', description: '', price, categoryId: shelf }) },
  'PATCH /products/{id}': { answers: '401 403 403 403 200', of: () => world.product, body: () => ({ price }) },
  'PATCH /products/{id} categoryId': { answers: '401 403 403 403 200', of: () => world.product, body: () => ({ categoryId: shelf }) },
  'DELETE /products/{id}': { answers: '401 403 403 403 204', of: async () => (await shop.product()).id },
  'GET /categories': { answers: anybody },
  'POST /categories': { answers: '401 403 403 403 201', body: () => ({ name: unique() }) },

  'GET /inventory/{productId}': { answers: anybody, of: () => world.product },
  'PUT /inventory/{productId}': { answers: '401 403 403 403 200', of: () => world.product, body: () => ({ onHand: 100_000 }) },
  'POST /inventory/{productId}/adjustments': { answers: '401 403 403 403 201', of: () => world.product, body: () => ({ delta: 1, reason: 'found one' }) },

  'POST /orders productId': { answers: '401 201 201 403 403', body: order },
  'GET /orders': { answers: '401 200 200 200 200', of: () => '?limit=100', finds: 'owner support admin' },
  'GET /orders/{id}': { answers: '401 404 200 200 200', of: ({ has }) => has.order },
  'GET /orders/{id}/history': { answers: '401 404 200 200 200', of: ({ has }) => has.order },
  'POST /orders/{id}/cancel': { answers: '401 404 200 403 200', of: ({ world }) => world.order() },

  'POST /payments orderId': { answers: '401 404 201 404 404', body: async ({ waiting }) => ({ orderId: waiting, method: 'card', cardToken: 'tok_visa' }) },
  'GET /payments orderId': { answers: '401 200 200 200 200', of: ({ has }) => `?orderId=${has.order}`, finds: 'owner support admin' },
  'GET /payments/{id}': { answers: '401 404 200 200 200', of: ({ has }) => has.payment },
  'POST /payments/{id}/refund': { answers: '401 403 403 403 201', of: ({ has }) => has.payment, body: () => ({ amount: cent, reason: 'scratched' }) },

  'GET /shipments': { answers: '401 200 200 200 200', of: () => '?limit=100', finds: 'owner support admin' },
  'GET /shipments orderId': { answers: '401 200 200 200 200', of: ({ has }) => `?orderId=${has.order}`, finds: 'owner support admin' },
  'GET /shipments/{id}': { answers: '401 404 200 200 200', of: ({ has }) => has.shipment },
  'POST /shipments/{id}/dispatch': { answers: '401 403 403 403 200', of: async ({ world }) => (await world.belongings()).shipment },
  'POST /shipments/{id}/deliver': { answers: '401 403 403 403 200', of: ({ world }) => world.dispatched() },

  'POST /tickets': { answers: '401 201 201 403 403', body: () => question },
  'POST /tickets orderId': { answers: '401 404 201 403 403', body: ({ has }) => ({ ...question, orderId: has.order }) },
  'GET /tickets': { answers: '401 200 200 200 200', of: () => '?limit=100', finds: 'owner support admin' },
  'GET /tickets orderId': { answers: '401 200 200 200 200', of: ({ has }) => `?orderId=${has.order}`, finds: 'owner support admin' },
  'GET /tickets/{id}': { answers: '401 404 200 200 200', of: ({ has }) => has.ticket },
  'POST /tickets/{id}/messages': { answers: '401 404 201 201 201', of: ({ has }) => has.ticket, body: () => ({ body: 'Any news?' }) },
  'POST /tickets/{id}/close': { answers: '401 404 200 200 200', of: ({ world }) => world.ticket() },

  'GET /recommendations/{productId}': { answers: anybody, of: () => world.product },
  'POST /admin/recommendations/rebuild': { answers: '401 403 403 403 202' },
  'GET /admin/recommendations/rebuild': { answers: '401 403 403 403 200' },

  'GET /product-pages/{productId}': { answers: anybody, of: () => world.product },

  'GET /notifications': { answers: '401 200 200 200 200', of: () => '?limit=100', finds: 'owner' },
};

function credentials(theirs: Theirs): object {
  const { username, password } = theirs.world.user('owner');
  return { username, password };
}

/** Of a row. */
function operationOf(row: string): Operation | undefined {
  const [method, path] = row.split(' ') as [string, string];
  return conformity.operation(`${method} ${path}`) ?? conformity.operation(`${method} ${API}${path}`);
}

interface Asked {
  readonly url: string;
  readonly body: object | undefined;
}

/** What is asked by a row. */
async function askedBy(row: string, of = owners): Promise<Asked> {
  const { of: named, body } = rows[row]!;
  return { url: filled(operationOf(row)!.path, (await named?.(of)) ?? ''), body: await body?.(of) };
}

async function ask(row: string, caller: Caller, { url, body }: Asked): Promise<Reply> {
  return shop.request(operationOf(row)!.method, url, { ...world.as(caller), ...(body && { body }) });
}

/** `of` is the value of the path's parameter, or the query where the path has none. */
function filled(path: string, of: string): string {
  return path.includes('{') ? path.replace(/\{\w+\}/, of) : `${path}${of}`;
}

/** Names of the properties by which a query or a body names something by its id. */
function namingProperties({ parameters, body }: Operation): string[] {
  const names = [...parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name), ...propertiesIn(body)];
  return names.filter((name) => /Ids?$/.test(name));
}

function propertiesIn(schema: Schema | undefined): string[] {
  if (!schema) return [];
  const inner = [...Object.values(schema.properties ?? {}), ...(schema.anyOf ?? []), schema.items];
  return [...Object.keys(schema.properties ?? {}), ...inner.flatMap(propertiesIn)];
}

/** Whether a list shows something of theirs, as it must to whom it may. */
function shows({ items }: { items: { id: string }[] }, { has, world: { product }, notifications }: Theirs): boolean {
  const ids = new Set([has.order, has.payment, has.shipment, has.ticket, product, ...notifications]);
  return items.some(({ id }) => ids.has(id));
}

t.test('every route has a row, and every row a route', async (t) => {
  const known = new Set(Object.keys(rows).map((row) => operationOf(row)?.name ?? row));
  t.same([...known].sort(), conformity.operations.map(({ name }) => name).sort());
});

t.test('every property that names something by its id has a row that sends it, and every other row a property', async (t) => {
  const properties = conformity.operations.flatMap((operation) => namingProperties(operation).map((name) => `${operation.name} ${name}`));
  const named = Object.keys(rows).filter((row) => row.split(' ').length === 3);
  t.same(named.map((row) => `${operationOf(row)?.name} ${row.split(' ')[2]}`).sort(), properties.sort());
  for (const row of named) t.match(JSON.stringify(await askedBy(row)), new RegExp(`\\b${row.split(' ')[2]}\\b`), row);
});

t.test('nothing comes of what is refused', async (t) => {
  const requests = await Promise.all(Object.entries(rows).map(async ([row, { answers }]) => ({ row, statuses: answers.split(' '), asked: await askedBy(row) })));
  await shop.until(async () => (await ask('GET /admin/events/replays/{id}', 'admin', await askedBy('GET /admin/events/replays/{id}'))).body.status === 'finished', 'the replay to be over');
  const before = await storedAtRest(shop);
  for (const { row, statuses, asked } of requests) {
    for (const [i, status] of statuses.entries()) if (status.startsWith('4')) t.equal(String((await ask(row, callers[i]!, asked)).status), status, `${row} by ${callers[i]}`);
  }
  t.same(await storedAtRest(shop), before);
});

for (const [row, { answers, finds }] of Object.entries(rows)) {
  const operation = operationOf(row);
  if (!operation) continue;
  await t.test(`${row} answers ${answers}`, async (t) => {
    const statuses: number[] = [];
    for (const caller of callers) {
      const asked = await askedBy(row);
      const reply = await ask(row, caller, asked);
      statuses.push(reply.status);
      t.same(conformity.complaints(operation, asked.url, reply), [], `the answer to ${caller} is as declared`);
      if (finds !== undefined && reply.status === 200) t.equal(shows(reply.body, owners), finds.split(' ').includes(caller), `what ${caller} sees`);
    }
    t.equal(statuses.join(' '), answers);
  });
}

/** Statuses for support and an administrator, where with what is theirs they may do something else than with the owner's. */
const withTheirOwn: Readonly<Record<string, string>> = {
  'POST /payments orderId': '201 201',
};

for (const [i, role] of (['support', 'admin'] as const).entries()) {
  await t.test(`${role} and what is theirs, from when they were customers`, async (t) => {
    const customer = await shop.customer();
    const theirs = { ...(await belongingTo(world.ownedBy(customer))), role };
    // All of it is made while they may still order, and asked when they may not any more; the table's last rows first, since one of the first makes them somebody else.
    const asked: [string, Asked][] = [];
    for (const row of Object.keys(rows).reverse()) asked.push([row, await askedBy(row, theirs)]);
    await shop.request('PATCH', `${API}/users/${customer.id}`, { ...world.as('admin'), body: { role } });
    const { token } = await shop.signIn(customer.username, customer.password);
    for (const [row, { url, body }] of asked) {
      const { answers, finds } = rows[row]!;
      const reply = await shop.request(operationOf(row)!.method, url, { token, ...(body && { body }) });
      t.equal(String(reply.status), withTheirOwn[row]?.split(' ')[i] ?? answers.split(' ')[callers.indexOf(role)], row);
      t.same(conformity.complaints(operationOf(row)!, url, reply), []);
      if (finds !== undefined) t.ok(shows(reply.body, theirs), `${row} shows what is theirs`);
    }
  });
}

t.test('a stranger cannot tell what is somebody else\'s from what is not there', async (t) => {
  const nobodys = '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10';
  const uuids = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;
  const told = ({ status, body: { traceId: _, ...body } }: Reply): [number, string] => [status, JSON.stringify(body).replaceAll(uuids, 'an id')];
  const isSecret = ([row, { answers }]: [string, Row]): boolean => answers.startsWith('401 404') || (answers.startsWith('401 200') && row.split(' ').length === 3);
  const secret = Object.entries(rows).filter(isSecret).map(([row]) => row);
  for (const row of secret) {
    const foreign = await askedBy(row);
    const missing = JSON.parse(JSON.stringify(foreign).replaceAll(uuids, nobodys)) as Asked;
    t.notSame(missing, foreign, `${row} names something`);
    t.same(told(await ask(row, 'stranger', missing)), told(await ask(row, 'stranger', foreign)), `${row} does not tell them apart`);
  }
});

t.test('a token that is no good is refused where one is needed', async (t) => {
  const { token } = world.user('admin');
  const tampered = `${token.slice(0, -6)}AAAAAA`;
  const needy = Object.entries(rows).filter(([, { answers }]) => answers.startsWith('401'));
  for (const [row] of needy) {
    const [operation, { url }] = [operationOf(row)!, await askedBy(row)];
    const reply = await shop.request(operation.method, url, { token: tampered });
    t.equal(reply.status, 401, row);
    t.same(conformity.complaints(operation, url, reply), []);
  }
});

const reading = Object.keys(rows).filter((row) => row.startsWith('GET '));

t.test('HEAD answers everybody as GET does', async (t) => {
  for (const row of reading) {
    const asked = await askedBy(row);
    const heads: Reply[] = [];
    for (const caller of callers) heads.push(await shop.request('HEAD', asked.url, world.as(caller)));
    t.equal(heads.map(({ status }) => status).join(' '), rows[row]!.answers, `HEAD ${asked.url}`);
    t.same(heads.filter(({ body }) => body !== ''), []);
    t.equal(heads.at(-1)!.headers.get('content-type'), (await ask(row, 'admin', asked)).headers.get('content-type'));
  }
});

t.test('a method that a path does not take is refused, and those that it takes are named', async (t) => {
  for (const row of reading) {
    const [{ path }, { url }] = [operationOf(row)!, await askedBy(row)];
    const taken = [...new Set(conformity.operations.filter((operation) => leadsTo(operation.path, path)).map(({ method }) => method))];
    for (const method of ['PUT', 'PATCH', 'DELETE', 'OPTIONS', 'POST'].filter((each) => !taken.includes(each))) {
      const reply = await shop.request(method, url, world.as('admin'));
      t.match(reply, { status: 405, body: { code: 'METHOD_NOT_ALLOWED' } }, `${method} ${path}`);
      t.same(reply.headers.get('allow')?.split(', ').filter((each) => each !== 'HEAD').sort(), taken.sort());
    }
  }
});

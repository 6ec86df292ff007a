/**
 * Who may do what: every route of the shop, asked by everybody, for things of the owner's. The table is written by hand;
 * the routes are read from the shop, so a route without a row fails, as does a row without a route.
 */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { testShop } from '#testing';
import { Conformity } from './conformity.testing.ts';
import { API, callers, replayRequest, shippingAddress, World } from './world.testing.ts';

interface Row {
  /** Statuses for the anonymous, a stranger, the owner, support, an administrator. */
  readonly answers: string;
  /** Fills the path's parameters and adds a query. Asked anew for each caller where the request changes something. */
  readonly of?: (world: World) => string | Promise<string>;
  readonly body?: (world: World) => object | Promise<object>;
  /** Who finds what `of` names, or the owner's things, in the list. */
  readonly finds?: string;
}

const shop = await testShop(t, { settings: { PAYMENT_ORDER_WAIT_MS: '0' } });
const conformity = new Conformity((await shop.request('GET', '/openapi.json')).body);
const world = await World.create(shop);
const mine = await world.belongings();
const waiting = await world.order();
const ownNotifications = await shop.until(async () => {
  const { body } = await shop.request('GET', `${API}/notifications`, world.as('owner'));
  return body.items.length > 0 && body.items;
}, 'the owner to be told of an order');

const unique = (): string => `n${randomBytes(6).toString('hex')}`;
const registration = () => ({ username: unique(), email: `${unique()}@example.com`, password: 'a long enough password' });
const price = { amount: 100, currency: 'USD' };
const cent = { amount: 1, currency: 'USD' };
const order = () => ({ items: [{ productId: world.product, quantity: 1 }], shippingAddress });
const question = { subject: 'Where is it?', body: 'I am waiting.' };
const anybody = '200 200 200 200 200';

const rows: Readonly<Record<string, Row>> = {
  'GET /health': { answers: anybody },
  'GET /ready': { answers: anybody },
  'GET /metrics': { answers: anybody },
  'GET /.well-known/jwks.json': { answers: anybody },

  'GET /admin/events/subscribers': { answers: '401 403 403 403 200' },
  'GET /admin/events/dead-letters': { answers: '401 403 403 403 200' },
  'POST /admin/events/dead-letters/redrive': { answers: '401 403 403 403 200', body: () => ({ all: true }) },
  'POST /admin/events/replays': { answers: '401 403 403 403 202', body: () => replayRequest },
  'GET /admin/events/replays/{id}': { answers: '401 403 403 403 200', of: () => world.replay() },

  'POST /users': { answers: '201 201 201 201 201', body: registration },
  'POST /users/authenticate': { answers: anybody, body: credentials },
  'GET /users/me': { answers: '401 200 200 200 200' },
  'PATCH /users/me': { answers: '401 200 200 200 200', body: () => ({ phone: null }) },
  'GET /users/{id}': { answers: '401 404 200 200 200', of: () => world.user('owner').id },
  'PATCH /users/{id}': { answers: '401 403 403 403 200', of: () => world.user('owner').id, body: () => ({ role: 'customer' }) },

  'GET /products': { answers: anybody, finds: callers.join(' ') },
  'GET /products/search': { answers: anybody, of: () => '?q=product' },
  'GET /products/{id}': { answers: anybody, of: () => world.product },
  'POST /products': { answers: '401 403 403 403 201', body: () => ({ name: 'A lamp', description: '', price }) },
  'PATCH /products/{id}': { answers: '401 403 403 403 200', of: () => world.product, body: () => ({ price }) },
  'DELETE /products/{id}': { answers: '401 403 403 403 204', of: async () => (await shop.product()).id },
  'GET /categories': { answers: anybody },
  'POST /categories': { answers: '401 403 403 403 201', body: () => ({ name: unique() }) },

  'GET /inventory/{productId}': { answers: anybody, of: () => world.product },
  'PUT /inventory/{productId}': { answers: '401 403 403 403 200', of: () => world.product, body: () => ({ onHand: 100_000 }) },
  'POST /inventory/{productId}/adjustments': { answers: '401 403 403 403 201', of: () => world.product, body: () => ({ delta: 1, reason: 'found one' }) },

  'POST /orders': { answers: '401 201 201 403 403', body: order },
  'GET /orders': { answers: '401 200 200 200 200', of: () => '?limit=100', finds: 'owner support admin' },
  'GET /orders/{id}': { answers: '401 404 200 200 200', of: () => mine.order },
  'GET /orders/{id}/history': { answers: '401 404 200 200 200', of: () => mine.order },
  'POST /orders/{id}/cancel': { answers: '401 404 200 403 200', of: () => world.order() },

  'POST /payments': { answers: '401 404 201 404 404', body: async () => ({ orderId: waiting, method: 'card', cardToken: 'tok_visa' }) },
  'GET /payments': { answers: '401 200 200 200 200', of: () => `?orderId=${mine.order}`, finds: 'owner support admin' },
  'GET /payments/{id}': { answers: '401 404 200 200 200', of: () => mine.payment },
  'POST /payments/{id}/refund': { answers: '401 403 403 403 201', of: () => mine.payment, body: () => ({ amount: cent, reason: 'scratched' }) },

  'GET /shipments': { answers: '401 200 200 200 200', of: () => '?limit=100', finds: 'owner support admin' },
  'GET /shipments/{id}': { answers: '401 404 200 200 200', of: () => mine.shipment },
  'POST /shipments/{id}/dispatch': { answers: '401 403 403 403 200', of: async () => (await world.belongings()).shipment },
  'POST /shipments/{id}/deliver': { answers: '401 403 403 403 200', of: () => world.dispatched() },

  'POST /tickets': { answers: '401 404 201 403 403', body: () => ({ ...question, orderId: mine.order }) },
  'GET /tickets': { answers: '401 200 200 200 200', of: () => '?limit=100', finds: 'owner support admin' },
  'GET /tickets/{id}': { answers: '401 404 200 200 200', of: () => mine.ticket },
  'POST /tickets/{id}/messages': { answers: '401 404 201 201 201', of: () => mine.ticket, body: () => ({ body: 'Any news?' }) },
  'POST /tickets/{id}/close': { answers: '401 404 200 200 200', of: () => world.ticket() },

  'GET /recommendations/{productId}': { answers: anybody, of: () => world.product },
  'POST /admin/recommendations/rebuild': { answers: '401 403 403 403 202' },
  'GET /admin/recommendations/rebuild': { answers: '401 403 403 403 200' },

  'GET /product-pages/{productId}': { answers: anybody, of: () => world.product },

  'GET /notifications': { answers: '401 200 200 200 200', of: () => '?limit=100', finds: 'owner' },
};

function credentials(): object {
  const { username, password } = world.user('owner');
  return { username, password };
}

function fullName(row: string): string {
  const [method, path] = row.split(' ') as [string, string];
  return conformity.operation(row) ? row : `${method} ${API}${path}`;
}

/** Ids of the owner's things, one of which a list must show to whom it may. */
const belongings = new Set([mine.order, mine.payment, mine.shipment, mine.ticket, world.product, ...ownNotifications.map(({ id }: { id: string }) => id)]);

function shows(body: { items: { id: string }[] }): boolean {
  return body.items.some(({ id }) => belongings.has(id));
}

t.test('every route has a row, and every row a route', async (t) => {
  t.same(Object.keys(rows).map(fullName).sort(), conformity.operations.map(({ name }) => name).sort());
});

for (const [name, { answers, of, body, finds }] of Object.entries(rows)) {
  const operation = conformity.operation(fullName(name));
  if (!operation) continue;
  const { method, path } = operation;
  await t.test(`${name} answers ${answers}`, async (t) => {
    const statuses: number[] = [];
    for (const caller of callers) {
      const url = filled(path, (await of?.(world)) ?? '');
      const reply = await shop.request(method, url, { ...world.as(caller), ...(body && { body: await body(world) }) });
      statuses.push(reply.status);
      t.same(conformity.complaints(operation, url, reply), [], `the answer to ${caller} is as declared`);
      if (finds !== undefined && reply.status === 200) t.equal(shows(reply.body), finds.split(' ').includes(caller), `what ${caller} sees`);
    }
    t.equal(statuses.join(' '), answers);
  });
}

/** `of` is the value of the path's parameter, or the query where the path has none. */
function filled(path: string, of: string): string {
  return path.includes('{') ? path.replace(/\{\w+\}/, of) : `${path}${of}`;
}

t.test('a stranger cannot tell what is somebody else\'s from what is not there', async (t) => {
  const nobodys = '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10';
  const secret = Object.entries(rows).filter(([name, { answers }]) => name.includes('{id}') && answers.startsWith('401 404'));
  for (const [name, { of, body }] of secret) {
    const { method, path } = conformity.operation(fullName(name))!;
    const ask = async (id: string) => shop.request(method, filled(path, id), { ...world.as('stranger'), ...(body && { body: await body(world) }) });
    const [missing, foreign] = [await ask(nobodys), await ask(await of!(world))];
    t.same([missing.status, missing.body.code, missing.body.title], [foreign.status, foreign.body.code, foreign.body.title], `${name} does not tell them apart`);
  }
});

t.test('a token that is no good is refused where one is needed', async (t) => {
  const { token } = world.user('admin');
  const tampered = `${token.slice(0, -6)}AAAAAA`;
  const needy = Object.entries(rows).filter(([, { answers }]) => answers.startsWith('401'));
  for (const [name, { of }] of needy) {
    const operation = conformity.operation(fullName(name))!;
    const url = filled(operation.path, (await of?.(world)) ?? '');
    const reply = await shop.request(operation.method, url, { token: tampered });
    t.equal(reply.status, 401, name);
    t.same(conformity.complaints(operation, url, reply), []);
  }
});

t.test('HEAD answers as GET does; a method that a path does not take is refused, and those that it takes are named', async (t) => {
  for (const [name, { of }] of Object.entries(rows).filter(([row]) => row.startsWith('GET '))) {
    const { path } = conformity.operation(fullName(name))!;
    const url = filled(path, (await of?.(world)) ?? '');
    const [get, head] = [await shop.request('GET', url, world.as('admin')), await shop.request('HEAD', url, world.as('admin'))];
    t.same([head.status, head.body, head.headers.get('content-type')], [get.status, '', get.headers.get('content-type')], `HEAD ${path}`);
    const taken = [...new Set(conformity.operations.filter((operation) => leadsTo(operation.path, path)).map(({ method }) => method))];
    for (const method of ['PUT', 'PATCH', 'DELETE', 'OPTIONS', 'POST'].filter((each) => !taken.includes(each))) {
      const reply = await shop.request(method, url, world.as('admin'));
      t.match(reply, { status: 405, body: { code: 'METHOD_NOT_ALLOWED' } }, `${method} ${path}`);
      t.same(reply.headers.get('allow')?.split(', ').filter((each) => each !== 'HEAD').sort(), taken.sort());
    }
  }
});

/** `/products/search` is also what `/products/{id}` leads to, for methods that search does not take. */
function leadsTo(template: string, path: string): boolean {
  return new RegExp(`^${template.replaceAll('.', '\\.').replace(/\{\w+\}/, '[^/]+')}$`).test(path);
}

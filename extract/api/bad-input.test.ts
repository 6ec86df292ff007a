/**
 * Bad input by hand, on the whole shop: each piece is refused with the status and the code that it deserves, and nothing of it is kept.
 * What the door does for every route is looked at more closely in src/http/input.test.ts; what people may well write, SQL and HTML
 * too, in text.test.ts.
 */
import t from 'tap';
import { testShop } from '#testing';
import { exchangeBytes, type Manner } from '../../src/http/raw.testing.ts';
import { Conformity, type Operation } from './conformity.testing.ts';
import { storedAtRest } from './stored.testing.ts';
import { API, type Caller, shippingAddress, World } from './world.testing.ts';

const shop = await testShop(t, { settings: { REQUEST_TIMEOUT_MS: '3000' } });
const conformity = new Conformity((await shop.request('GET', '/openapi.json')).body);
const world = await World.create(shop);

const item = { productId: world.product, quantity: 1 };
const order = { items: [item], shippingAddress };
const product = { name: 'A lamp', description: '', price: { amount: 500, currency: 'USD' } };
const account = { username: 'somebody', email: 'somebody@example.com', password: 'a long enough password' };
const ticket = { subject: 'Where is it?', body: 'I am waiting.' };

const before = await storedAtRest(shop);

/** Method and path, who asks, what is sent there, and where the mistake is, if it has a place of its own. */
type Refused = readonly [request: `${string} /${string}`, caller: Caller, body: unknown, place?: string];

const quantities = [-1, 0, 0.5, 1.5, 1_001, 1e15, 2 ** 53, 1e308, '1', null, true, [1], {}];
const prices = ['5.00', '500', 500, 5.5, null, [], { amount: '500', currency: 'USD' }, { amount: 5.5, currency: 'USD' }, { amount: -1, currency: 'USD' }, { amount: 500, currency: 'US' }];
const long = (length: number): string => 'x'.repeat(length + 1);
const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;

const invalid: Readonly<Record<string, readonly Refused[]>> = {
  'no item': [['POST /orders', 'owner', { ...order, items: [] }, '/items']],
  '51 items': [['POST /orders', 'owner', { ...order, items: Array(51).fill(item) }, '/items']],
  'a quantity that is none': quantities.map((quantity) => ['POST /orders', 'owner', { ...order, items: [{ ...item, quantity }] }, '/items/0/quantity']),
  'a price that is none': prices.flatMap((price): Refused[] => [
    ['POST /products', 'admin', { ...product, price }],
    [`PATCH /products/${world.product}`, 'admin', { price }],
  ]),
  'a refund of nothing, of less, or of what is no money': [
    ...[0, -1, 0.5, 1e15, '5', null].map((amount): Refused => [`POST /payments/${world.product}/refund`, 'admin', { amount: { amount, currency: 'USD' }, reason: 'broken' }, '/amount/amount']),
    ...[5, '5.00', []].map((amount): Refused => [`POST /payments/${world.product}/refund`, 'admin', { amount, reason: 'broken' }, '/amount']),
  ],
  'a stock that is none': [-1, 0.5, 1e15, '5', null, [5]].map((onHand) => [`PUT /inventory/${world.product}`, 'admin', { onHand }, '/onHand']),
  'a change of nothing': [[`PATCH /products/${world.product}`, 'admin', {}, '']],
  'a change that is no name': [null, '', ' ', 'a\nb', 7, ['a']].map((name) => [`PATCH /products/${world.product}`, 'admin', { name }, '/name']),
  'a change of what is not the caller\'s to say': [
    [`PATCH /products/${world.product}`, 'admin', { id: world.user('owner').id }, '/id'],
    [`PUT /inventory/${world.product}`, 'admin', { onHand: 1, reserved: 0 }, '/reserved'],
    ['PATCH /users/me', 'owner', { role: 'admin' }, '/role'],
    ['PATCH /users/me', 'owner', { username: 'another' }, '/username'],
    [`PATCH /users/${world.user('owner').id}`, 'admin', { role: 'support', email: 'a@example.com' }, '/email'],
  ],
  'a role that is none': ['root', '', null, ['admin']].map((role) => [`PATCH /users/${world.user('owner').id}`, 'admin', { role }, '/role']),
  'what nobody can be reached at, or sign in with': [
    ...['x', 'a@b', ' a@example.com', 5, null].map((email): Refused => ['PATCH /users/me', 'owner', { email, currentPassword: 'x' }, '/email']),
    ...['123', '0049151', '+0123456', '+49 151', 49].map((phone): Refused => ['PATCH /users/me', 'owner', { phone }, '/phone']),
    ...['short', long(128), null, 12345678].map((password): Refused => ['PATCH /users/me', 'owner', { password, currentPassword: 'x' }, '/password']),
  ],
  'a price of the client\'s own': [['POST /orders', 'owner', { ...order, items: [{ ...item, price: 1 }] }, '/items/0/price']],
  'a buyer of the client\'s own': [['POST /orders', 'owner', { ...order, customerId: world.user('stranger').id }, '/customerId']],
  'a name that is too long': [
    ['POST /products', 'admin', { ...product, name: long(200) }, '/name'],
    [`PATCH /products/${world.product}`, 'admin', { name: long(200) }, '/name'],
    [`PATCH /products/${world.product}`, 'admin', { description: long(5_000) }, '/description'],
    ['POST /categories', 'admin', { name: long(100) }, '/name'],
    ['POST /users', 'anonymous', { ...account, username: long(1_000) }, '/username'],
    ['POST /orders', 'owner', { ...order, shippingAddress: { ...shippingAddress, name: long(200) } }, '/shippingAddress/name'],
    ['POST /orders', 'owner', { ...order, shippingAddress: { ...shippingAddress, postalCode: long(20) } }, '/shippingAddress/postalCode'],
    ['POST /tickets', 'owner', { ...ticket, subject: long(200) }, '/subject'],
    [`POST /inventory/${world.product}/adjustments`, 'admin', { delta: 1, reason: long(200) }, '/reason'],
  ],
  'arrays in arrays, as deep as 100 KiB go': [
    ['POST /orders', 'owner', nested(50_000), ''],
    ['POST /orders', 'owner', `{"items":${nested(50_000)},"shippingAddress":${JSON.stringify(shippingAddress)}}`, '/items/0'],
    ['POST /tickets', 'owner', `{"subject":"a","body":${nested(50_000)}}`, '/body'],
  ],
  'objects in objects': [['POST /products', 'admin', `${'{"name":'.repeat(10_000)}1${'}'.repeat(10_000)}`]],
};

const malformed: Readonly<Record<string, readonly Refused[]>> = {
  'what is no JSON': ['{', '{"items":[}', "{'items':1}", '{"items":[],}', '{} {}', 'NaN'].map((body) => ['POST /orders', 'owner', body]),
  'a field that is there twice': [
    ['POST /orders', 'owner', JSON.stringify(order).replace('"quantity":1', '"quantity":1,"quantity":900')],
    ['POST /products', 'admin', JSON.stringify(product).replace('"amount":500', '"amount":500,"\\u0061mount":1')],
    ['POST /users', 'anonymous', JSON.stringify(account).replace('{', '{"username":"another",')],
  ],
  'what would poison a prototype': ['{"__proto__":{"role":"admin"}}', '{"constructor":{"prototype":{"role":"admin"}}}', '{"a":[{"\\u005f_proto__":{}}]}'].map((body) => ['POST /users', 'anonymous', body]),
  'NUL, and half a surrogate pair': ['\\u0000', 'a\\u0000b', '\\ud800', 'x\\udc00'].flatMap((text): Refused[] => [
    ['POST /products', 'admin', JSON.stringify({ ...product, name: '?' }).replace('?', text)],
    ['POST /tickets', 'owner', JSON.stringify({ ...ticket, body: '??' }).replace('??', text)],
    ['POST /users', 'anonymous', JSON.stringify({ ...account, username: '?' }).replace('?', text)],
    ['POST /orders', 'owner', JSON.stringify({ ...order, shippingAddress: { ...shippingAddress, city: '?' } }).replace('?', text)],
  ]),
};

/** What is wrong with the answer to a body, other than that it must be refused so; nothing when all is well. */
async function wrongWith([request, caller, body, place]: Refused, { status, code, type }: { status: number; code: string; type?: string }): Promise<string[]> {
  const [method, path] = request.split(' ') as [string, string];
  const url = `${API}${path}`;
  const reply = await shop.request(method, url, { ...world.as(caller), body, ...(type !== undefined && { headers: { 'content-type': type } }) });
  const isAsMeant = reply.status === status && reply.body.code === code;
  const isAtPlace = place === undefined || reply.body.errors?.some((error: { path: string }) => error.path === place);
  const wrong = [...(isAsMeant ? [] : [`it is answered with ${reply.status} ${reply.body.code}`]), ...(isAtPlace ? [] : [`it names other places: ${JSON.stringify(reply.body.errors)}`])];
  return [...wrong, ...conformity.complaints(conformity.operationAt(method, url)!, url, reply)].map((complaint) => `${request} ${JSON.stringify(body).slice(0, 200)}: ${complaint}`);
}

for (const [code, kinds] of Object.entries({ VALIDATION_FAILED: invalid, MALFORMED_BODY: malformed })) {
  for (const [what, requests] of Object.entries(kinds)) {
    await t.test(`${what}: 400 ${code}`, async (t) => {
      for (const refused of requests) t.same(await wrongWith(refused, { status: 400, code }), []);
    });
  }
}

/** What customers alone may do. */
const customersOwn = ['POST /orders', 'POST /tickets'];
const taking = conformity.operations.flatMap(({ method, path, body }) => {
  const request = `${method} ${path.slice(API.length)}`;
  const caller: Caller = customersOwn.includes(request) ? 'owner' : 'admin';
  return body ? [{ name: request, request: request.replace(/\{\w+\}/, world.product) as Refused[0], caller, fields: Object.entries(body.properties!) }] : [];
});

t.test('these take bodies', async (t) => {
  t.same([...new Set(taking.map(({ name }) => name.split(' ', 1)[0]))].sort(), ['PATCH', 'POST', 'PUT']);
});

for (const { name: route, request, caller, fields } of taking) {
  await t.test(`${route}, sent what no route takes`, async (t) => {
    for (const body of ['', 'null', '[]', '"text"', '1', 'true', nested(50_000)]) t.same(await wrongWith([request, caller, body], { status: 400, code: 'VALIDATION_FAILED' }), []);
    t.same(await wrongWith([request, caller, { nobodyKnows: 1 }, '/nobodyKnows'], { status: 400, code: 'VALIDATION_FAILED' }), []);
    // No field is an object of any kind, and none that is an object may be a list.
    for (const [name, { type }] of fields) t.same(await wrongWith([request, caller, { [name]: type === 'object' ? [] : {} }, `/${name}`], { status: 400, code: 'VALIDATION_FAILED' }), []);
    for (const body of ['{', '{"a":1,}', "{'a':1}", '{} {}', 'NaN', '{"a":1,"\\u0061":1}', '{"__proto__":{}}', '{"a":"\\u0000"}', '{"a":"\\ud800"}']) {
      t.same(await wrongWith([request, caller, body], { status: 400, code: 'MALFORMED_BODY' }), []);
    }
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/xml', 'application/jsonp', 'json', ';']) {
      t.same(await wrongWith([request, caller, order], { status: 415, code: 'UNSUPPORTED_MEDIA_TYPE', type }), [], type);
    }
  });
}

const lists = conformity.operations.filter(({ method, parameters }) => method === 'GET' && parameters.some(({ name }) => name === 'cursor'));
const cursor = (key: unknown): string => Buffer.from(JSON.stringify(key)).toString('base64url');
const cursors = ['x', '%F0%9F%92%A5', '%00', '..%2f', `';--`, 'a'.repeat(2_049), cursor(null), cursor([]), cursor({}), cursor('x'), cursor([1]), cursor([null, null]), cursor([1, 2, 3, 4, 5]), cursor([{}, []])];

t.test('a cursor that no list gave out: 400 VALIDATION_FAILED', async (t) => {
  t.ok(lists.length >= 7, `${lists.length} lists`);
  for (const operation of lists) {
    for (const bad of ['', ...cursors]) {
      const url = `${operation.path}?cursor=${bad}${needed(operation)}`;
      t.match(await shop.request('GET', url, world.as('admin')), { status: 400, body: { code: 'VALIDATION_FAILED' } }, url.slice(0, 200));
    }
  }
});

function needed({ parameters }: Operation): string {
  return parameters.filter(({ in: place, required }) => place === 'query' && required).map(({ name }) => `&${name}=lamp`).join('');
}

/** An order of the owner's as bytes, its body announced or in chunks. */
function bytesOf(body: string, { chunked = false, announced = Buffer.byteLength(body) } = {}): string {
  const head = `POST ${API}/orders HTTP/1.1\r\nhost: shop\r\nauthorization: Bearer ${world.as('owner').token}\r\ncontent-type: application/json\r\n`;
  return chunked ? `${head}transfer-encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n` : `${head}content-length: ${announced}\r\n\r\n${body}`;
}

async function send(bytes: string, manner?: Manner): Promise<string> {
  return exchangeBytes(shop.url, bytes, manner);
}

t.test('bodies of 1 MB: 413', async (t) => {
  const body = JSON.stringify({ ...order, shippingAddress: { ...shippingAddress, name: long(1_048_576) } });
  const tooLarge = /^HTTP\/1\.1 413 [^]*"code":"BODY_TOO_LARGE"/;
  t.match(await shop.request('POST', `${API}/orders`, { ...world.as('owner'), body }), { status: 413, body: { code: 'BODY_TOO_LARGE' } });
  t.match(await send(bytesOf(body), { halfClose: true }), tooLarge, 'announced');
  t.match(await send(bytesOf(body, { chunked: true }), { halfClose: true }), tooLarge, 'in chunks');
});

t.test('a body that does not come: 408 when its time is over', async (t) => {
  const began = performance.now();
  const stalled = bytesOf('{"items":', { announced: 500 });
  for (const answer of await Promise.all([stalled, stalled.slice(0, 60)].map(async (bytes) => send(bytes)))) {
    t.match(answer, /^HTTP\/1\.1 408 [^]*content-type: application\/problem\+json[^]*"code":"REQUEST_TIMEOUT"/);
  }
  const took = performance.now() - began;
  t.ok(took >= 3_000 && took < 10_000, `after ${took} ms`);
});

t.test('a connection that is closed in the middle of a request: 400', async (t) => {
  for (const bytes of [bytesOf('{"items":', { announced: 500 }), `POST ${API}/orders HT`]) {
    t.match(await send(bytes, { halfClose: true }), /^HTTP\/1\.1 400 [^]*"code":"MALFORMED_REQUEST"/);
  }
});

t.test('nothing of all that was kept, and the shop is as well as before', async (t) => {
  t.ok(Object.keys(before).length > 20, 'all tables were looked at');
  t.same(await storedAtRest(shop), before);
  t.match(await shop.request('GET', '/health'), { status: 200, body: { status: 'healthy' } });
  t.equal(({} as { role?: string }).role, undefined);
});

t.test('whoever closes the half of the connection behind an order gets the answer to it', async (t) => {
  const answer = await send(bytesOf(JSON.stringify(order)), { halfClose: true });
  t.match(answer, /^HTTP\/1\.1 201 [^]*"status":"pending"/);
  const { body } = await shop.request('GET', `${API}/orders`, world.as('owner'));
  t.equal(body.items.length, 1);
  t.ok(answer.includes(body.items[0].id));
});

/**
 * What people write comes back as they wrote it, wherever it is shown, and does nothing on its way: it is never code, markup or a header.
 * Where it may be written is read from the OpenAPI document.
 */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { type Reply, testShop } from '#testing';
import { Conformity, type Operation } from './conformity.testing.ts';
import { type Place, type Sent, textPlaces, valueAt, withText } from './text-places.testing.ts';
import { API, replayRequest, shippingAddress, World } from './world.testing.ts';

// Nobody is turned away for failing to sign in.
const shop = await testShop(t, { settings: { SIGN_IN_ACCOUNT_FAILURES: '10000', SIGN_IN_ADDRESS_FAILURES: '1000000' } });
const conformity = new Conformity((await shop.request('GET', '/openapi.json')).body);
const world = await World.create(shop);
const mine = await world.belongings();

const texts = [
  '<img src=x onerror=alert(1)><!-- &amp; -->',
  `'; drop table product; -- \\' \\" $1 ?`,
  '${7*7} {{7*7}} #{7*7} %s %n %00 \\u0000 \\r\\n',
  'Subject: hello, \u202egnp.exe \u2028 💥 \u{20000} ﷺ e\u0301',
  '__proto__',
];

interface Request extends Sent {
  readonly token?: string;
  /** Fills the path's parameter. */
  readonly id?: string;
}

const [owner, admin] = [world.as('owner'), world.as('admin')];
const product = { name: 'A lamp', description: 'It shines.', price: { amount: 500, currency: 'USD' } };
const items = [{ productId: world.product, quantity: 1 }];
const question = { subject: 'Where is it?', body: 'I am waiting.' };
const unique = (): string => `n${randomBytes(6).toString('hex')}`;

/**
 * A request to each route that takes text, to be carried out as it is; made anew once it has been. Routes that are asked by
 * administrators, and need to be told nothing, are left out.
 */
const requests: Readonly<Record<string, () => Request | Promise<Request>>> = {
  'POST /admin/events/dead-letters/redrive': () => ({ ...admin, body: { eventIds: [mine.order] } }),
  'POST /admin/events/replays': () => ({ ...admin, body: replayRequest }),

  'POST /users': () => ({ body: { username: unique(), email: `${unique()}@example.com`, password: 'a password of its own' } }),
  'POST /users/authenticate': () => ({ body: { username: world.user('owner').username, password: world.user('owner').password } }),
  'PATCH /users/me': async () => {
    const { token, password } = await shop.customer();
    return { token, body: { password: 'a password of its own', currentPassword: password } };
  },
  'PATCH /users/{id}': () => ({ ...admin, id: world.user('stranger').id, body: { role: 'customer' } }),

  'GET /products/search': () => ({ query: { q: 'lamp' } }),
  'GET /products/{id}': () => ({ id: world.product }),
  'POST /products': () => ({ ...admin, body: product }),
  'PATCH /products/{id}': async () => ({ ...admin, id: (await shop.product()).id, body: product }),
  'POST /categories': () => ({ ...admin, body: { name: unique() } }),
  'POST /inventory/{productId}/adjustments': () => ({ ...admin, id: world.product, body: { delta: 1, reason: 'found one' } }),

  'POST /orders': () => ({ ...owner, body: { items, shippingAddress, payment: { method: 'card', cardToken: 'tok_visa' } } }),
  'POST /payments': async () => ({ ...owner, body: { orderId: await world.order(), method: 'card', cardToken: 'tok_visa' } }),
  'GET /payments': () => ({ ...owner, query: { orderId: mine.order } }),
  'POST /payments/{id}/refund': () => ({ ...admin, id: mine.payment, body: { amount: { amount: 1, currency: 'USD' }, reason: 'scratched' } }),

  'POST /tickets': () => ({ ...owner, body: question }),
  'POST /tickets/{id}/messages': () => ({ ...owner, id: mine.ticket, body: { body: 'Any news?' } }),
};

/** Where text that fits is refused nevertheless: it names nothing that there is, or is not the right one. */
const refusals: Readonly<Record<string, readonly [status: number, code: string]>> = {
  'POST /admin/events/replays/subscriber': [422, 'SUBSCRIBER_NOT_FOUND'],
  'POST /admin/events/replays/type': [422, 'EVENT_NOT_HANDLED'],
  'POST /users/authenticate/username': [401, 'INVALID_CREDENTIALS'],
  'POST /users/authenticate/password': [401, 'INVALID_CREDENTIALS'],
  'PATCH /users/me/currentPassword': [403, 'WRONG_PASSWORD'],
};

/** Where text that was taken shows, if not in its place in the answer. */
const shown: Readonly<Record<string, (text: string, reply: Reply) => unknown>> = {
  'POST /admin/events/dead-letters/redrive/subscriber': (text, { body }) => body.redriven === 0 && text,
  'POST /users/password': async (text, { body }) => (await shop.signIn(body.username, text)).password,
  'PATCH /users/me/password': async (text, { body }) => (await shop.signIn(body.username, text)).password,
  'POST /categories/name': async (text, { body }) => body.name === text && (await listed('/categories', text)),
  'POST /tickets/body': (_, { body }) => body.messages[0].body,
};

/** A name that stands in a list. */
async function listed(list: string, name: string): Promise<unknown> {
  return (await ask('GET', `${list}?limit=100`, 'owner')).items.find((each: { name: string }) => each.name === name)?.name;
}

const taking = conformity.operations.map((operation) => ({ operation, row: operation.name.replace(API, ''), places: textPlaces(operation) })).filter(({ places }) => places.length > 0);

async function sendTo({ method, path }: Operation, { token, id = '', query, headers, body }: Request): Promise<Reply & { readonly url: string }> {
  const url = `${path.replace(/\{\w+\}/, id)}${query ? `?${new URLSearchParams(query).toString()}` : ''}`;
  return { url, ...(await shop.request(method, url, { ...(token !== undefined && { token }), ...(headers && { headers }), ...(body && { body }) })) };
}

t.test('every request is one to a route that takes text, and every refusal and showing is of a place for it', async (t) => {
  const rows = taking.map(({ row }) => row);
  t.same(Object.keys(requests).filter((row) => !rows.includes(row)), []);
  const places = taking.flatMap((each) => each.places.map(({ pointer }) => `${each.row}${pointer}`));
  t.same([...Object.keys(refusals), ...Object.keys(shown)].filter((place) => !places.includes(place)), []);
});

for (const { operation, row, places } of taking) {
  await t.test(`text wherever ${row} takes it`, async (t) => {
    const make = requests[row] ?? ((): Request => admin);
    t.match((await sendTo(operation, await make())).status, /^20\d$/, 'as it is the request is carried out');
    let request: Request | undefined;
    for (const place of places) {
      for (const [i, text] of texts.entries()) {
        conformity.said.add(text);
        request ??= await make();
        const reply = await sendTo(operation, withText(request, place, text));
        const label = `text ${i + 1} in ${place.in}${place.pointer}`;
        t.same(conformity.complaints(operation, reply.url, reply), [], label);
        t.strictSame(outcomeOf(reply), expected(row, place, text), label);
        if (reply.status >= 300) continue;
        if (place.in === 'body') t.equal((await shown[`${row}${place.pointer}`]?.(text, reply)) ?? valueAt(reply.body, place.pointer), text, `${label} is kept as it is`);
        request = undefined;
      }
    }
  });
}

type Outcome = 'taken' | { readonly status: number; readonly code: string; readonly place?: string };

function outcomeOf({ status, body }: Reply): Outcome {
  return status < 300 ? 'taken' : { status, code: body.code, ...(body.errors && { place: body.errors[0].path }) };
}

/** Text is taken where it fits as the document says, unless it should name something that there is. */
function expected(row: string, { pointer, fits }: Place, text: string): Outcome {
  // No text is a cursor that a list gave out.
  if (!fits(text) || pointer === '/cursor') return { status: 400, code: 'VALIDATION_FAILED', place: pointer };
  const [status, code] = refusals[`${row}${pointer}`] ?? [];
  return status === undefined ? 'taken' : { status, code: code! };
}

async function ask(method: string, path: string, caller: 'owner' | 'admin', body?: object): Promise<Reply['body']> {
  const reply = await shop.request(method, `${API}${path}`, { ...world.as(caller), ...(body && { body }) });
  if (reply.status >= 300) throw new Error(`${method} ${path} answered ${reply.status}: ${JSON.stringify(reply.body)}`);
  return reply.body;
}

/** An order for a product of that name, paid and partly refunded, with the text wherever there is room for one. */
async function orderAllAbout(text: string, product: string): Promise<{ order: string; refund: Reply['body'] }> {
  const shippingAddress = { name: text, line1: text, line2: text, city: text, postalCode: text.slice(0, 20), country: 'US' };
  const payment = { method: 'card', cardToken: 'tok_visa' };
  const { id } = await ask('POST', '/orders', 'owner', { items: [{ productId: product, quantity: 1 }], shippingAddress, payment });
  await shop.until(async () => (await ask('GET', `/orders/${id}`, 'owner')).status === 'confirmed', `order ${id} to be confirmed`);
  const { items } = await ask('GET', `/payments?orderId=${id}`, 'owner');
  return { order: id, refund: await ask('POST', `/payments/${items[0].id}/refund`, 'admin', { amount: { amount: 1, currency: 'USD' }, reason: text }) };
}

for (const [i, text] of texts.entries()) {
  await t.test(`text ${i + 1}`, async (t) => {
    const product = await ask('POST', '/products', 'admin', { name: text, description: `${text}\n\t${text}`, price: { amount: 500, currency: 'USD' } });
    t.equal(product.name, text);
    t.same(await ask('GET', `/products/${product.id}`, 'owner'), product);
    t.ok((await ask('GET', '/products?limit=100', 'owner')).items.some((each: { name: string }) => each.name === text));
    await ask('GET', `/products/search?q=${encodeURIComponent(text)}`, 'owner');
    t.equal((await ask('POST', `/inventory/${product.id}/adjustments`, 'admin', { delta: 5, reason: text })).reason, text);

    const ticket = await ask('POST', '/tickets', 'owner', { subject: text, body: `${text}\n\t${text}` });
    const answer = await ask('POST', `/tickets/${ticket.id}/messages`, 'admin', { body: text });
    t.same([ticket.subject, ticket.messages[0].body, answer.body], [text, `${text}\n\t${text}`, text]);
    t.same((await ask('GET', `/tickets/${ticket.id}`, 'owner')).messages, [...ticket.messages, answer]);

    const { order, refund } = await orderAllAbout(text, product.id);
    t.equal(refund.reason, text);
    const { shippingAddress, items } = await ask('GET', `/orders/${order}`, 'owner');
    t.same([shippingAddress.name, shippingAddress.line1, shippingAddress.line2, shippingAddress.city, items[0].name], Array(5).fill(text));
    const shipments = await ask('GET', `/shipments?orderId=${order}`, 'owner');
    t.same([shipments.items[0].address, shipments.items[0].items[0].name], [shippingAddress, text]);
    const isTold = ({ detail }: { detail: string }) => detail.includes(text);
    await shop.until(async () => (await ask('GET', `/orders/${order}/history`, 'owner')).some(isTold), 'the refund to be part of the history');

    const mails = await shop.until(async () => {
      const sent = (await ask('GET', '/notifications?limit=100', 'owner')).items.filter(({ body }: { body: string }) => body.includes(order));
      return sent.length >= 2 && sent;
    }, 'the order and its payment to be told of');
    for (const { subject, body } of mails) {
      t.match(subject, /^We received your (order|payment for order) [0-9A-F]{8}$/, 'nothing that anybody wrote is in a subject');
      t.notMatch(body, /[\r\u202e\u2028]/, 'nothing turns the writing around or breaks a line');
    }
    const line = mails.map(({ body }: { body: string }) => body).join('\n').split('\n').find((each: string) => each.startsWith('  1 x '));
    t.ok(line?.includes(text.slice(0, 12)), 'the name stands on one line');
  });
}

t.test('where a text becomes an address or a name to sign in with, it has to be one', async (t) => {
  for (const [i, text] of texts.slice(0, -1).entries()) {
    for (const change of [{ username: text }, { email: text }, { email: `${text}@example.com` }, { email: `a@b.example\r\nBcc: ${text}` }]) {
      const body = { username: 'somebody', email: 'somebody@example.com', password: 'a long enough password', ...change };
      const reply = await shop.request('POST', `${API}/users`, { body });
      t.match(reply, { status: 400, body: { code: 'VALIDATION_FAILED' } }, `text ${i + 1} as ${Object.keys(change).join()}`);
    }
  }
});

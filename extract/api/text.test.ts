/** What people write comes back as they wrote it, wherever it is shown, and does nothing on its way: it is never code, markup or a header. */
import t from 'tap';
import { type Reply, testShop } from '#testing';
import { API, World } from './world.testing.ts';

const shop = await testShop(t);
const world = await World.create(shop);

const texts = [
  '<img src=x onerror=alert(1)><!-- &amp; -->',
  `'; drop table product; -- \\' \\" $1 ?`,
  '${7*7} {{7*7}} #{7*7} %s %n %00 \\u0000 \\r\\n',
  'Subject: hello, \u202egnp.exe \u2028 💥 \u{20000} ﷺ e\u0301',
  '__proto__',
];

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
    t.equal((await ask('POST', '/categories', 'admin', { name: text })).name, text);
    t.ok((await ask('GET', '/categories?limit=100', 'owner')).items.some((each: { name: string }) => each.name === text));
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

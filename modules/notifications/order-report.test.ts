/** What a customer was told of an order stands in the order's history, once it has ended, once; no message waits for that. */
import t from 'tap';
import { openMailbox, type SignedIn, testShop } from '#testing';

const mailbox = await openMailbox();
const shop = await testShop(t, { settings: { SMTP_URL: mailbox.url, MAIL_TRIES: '1000', MAIL_RETRY_MS: '1' } });
t.teardown(() => mailbox.goDown());
const product = await shop.product({ stock: 1_000 });
const shippingAddress = { name: 'Ada', line1: '1 Analytical Way', city: 'London', postalCode: 'N1 9GU', country: 'GB' };

interface Entry {
  readonly at: string;
  readonly event: string;
  readonly detail: string;
}

async function customerWithPhone(): Promise<SignedIn> {
  const customer = await shop.customer();
  await shop.request('PATCH', '/api/v1/users/me', { token: customer.token, body: { phone: '+442079460018' } });
  return customer;
}

async function order(customer: SignedIn): Promise<string> {
  const body = { items: [{ productId: product.id, quantity: 1 }], shippingAddress };
  return (await shop.request('POST', '/api/v1/orders', { token: customer.token, body })).body.id;
}

async function told(customer: SignedIn, orderId: string): Promise<readonly Entry[]> {
  const { body } = await shop.request('GET', `/api/v1/orders/${orderId}/history`, { token: customer.token });
  return body.filter(({ event }: Entry) => event.startsWith('message_'));
}

async function untilTold(customer: SignedIn, orderId: string, count: number): Promise<readonly Entry[]> {
  return shop.until(async () => {
    const entries = await told(customer, orderId);
    return entries.length >= count && entries;
  }, `${count} messages in the history`);
}

const lines = (entries: readonly Entry[]) => entries.map(({ event, detail }) => `${event} ${detail}`).toSorted();
const reports = async (orderId: string) => shop.sql<{ id: string; outcome: string | null }>('notifications', 'select id, outcome from order_report where order_id = $1', [orderId]);
const mailsTo = (customer: SignedIn) => mailbox.mails.filter(({ envelopeTo }) => envelopeTo.includes(`${customer.username}@example.com`));

t.test('e-mail and text are told of by what they are about, not by what they say', async (t) => {
  const customer = await customerWithPhone();
  const id = await order(customer);
  const subject = `We received your order ${id.slice(-8).toUpperCase()}`;
  const entries = await untilTold(customer, id, 2);
  t.same(lines(entries), [`message_sent e-mail: ${subject}`, `message_sent text message: ${subject}`]);
  const [history] = (await shop.request('GET', `/api/v1/orders/${id}/history`, { token: customer.token })).body as Entry[];
  t.ok(entries.every(({ at }) => at >= history!.at), 'after the order was placed');
  await shop.until(async () => (await reports(id)).length === 0, 'nothing to be left to report');
});

t.test('an answer to a ticket about an order is told of there', async (t) => {
  const [customer, support] = [await shop.customer(), await shop.support()];
  const id = await order(customer);
  const ticket = (await shop.request('POST', '/api/v1/tickets', { token: customer.token, body: { subject: 'A question', body: 'Is it blue?', orderId: id } })).body;
  await shop.request('POST', `/api/v1/tickets/${ticket.id}/messages`, { token: support.token, body: { body: 'Red.' } });
  const told = lines(await untilTold(customer, id, 2));
  t.equal(told.length, 2);
  t.match(told, [`message_sent e-mail: We answered your ticket ${ticket.id.slice(-8).toUpperCase()}`, /We received/]);
});

t.test('an e-mail is told of when it was sent, not while it waits', async (t) => {
  const customer = await customerWithPhone();
  await mailbox.goDown();
  const id = await order(customer);
  const told = lines(await untilTold(customer, id, 1));
  t.equal(told.length, 1);
  t.match(told, [/^message_sent text message/]);
  t.match((await reports(id)).map(({ outcome }) => outcome), [null]);
  const up = new Date().toISOString();
  await mailbox.comeBack();
  const entries = await untilTold(customer, id, 2);
  t.ok(entries.at(-1)!.at > up, 'at the time at which it left');
});

t.test('an e-mail that was given up is told of as such', async (t) => {
  const customer = await shop.customer();
  mailbox.refuse('RCPT TO', 550);
  t.teardown(() => mailbox.refuse(undefined));
  const id = await order(customer);
  const told = lines(await untilTold(customer, id, 1));
  t.equal(told.length, 1);
  t.match(told, [/^message_failed e-mail: We received your order/]);
});

t.test('while orders is away e-mails go out, and the history learns of them later, at their time', async (t) => {
  const customer = await shop.customer();
  const { gate } = shop.module('orders');
  const id = await order(customer);
  await gate.close();
  t.teardown(() => gate.open());
  await shop.until(() => mailsTo(customer).length === 1, 'the e-mail');
  await shop.until(async () => (await reports(id))[0]?.outcome === 'sent', 'the e-mail to be on record');
  const back = new Date().toISOString();
  gate.open();
  const [entry] = await untilTold(customer, id, 1);
  t.ok(entry!.at < back);
});

t.test('what is reported again, because nobody knows that it was, stands there once', async (t) => {
  const customer = await customerWithPhone();
  const id = await order(customer);
  const once = await untilTold(customer, id, 2);
  await shop.until(async () => (await reports(id)).length === 0, 'nothing to be left to report');
  await shop.sql(
    'notifications',
    `insert into order_report (id, order_id, topic, outcome, ended_at) select id, $2, 'again', 'sent', now() from notification where user_id = $1`,
    [customer.id, id],
  );
  await shop.until(async () => (await reports(id)).length === 0, 'both to be reported again');
  t.same(await told(customer, id), once);
});

t.test('an order that does not exist holds up no other report', async (t) => {
  const customer = await shop.customer();
  await shop.sql('notifications', `insert into order_report (id, order_id, topic, outcome, ended_at) values ($1, $1, 'nothing', 'sent', 'epoch')`, [customer.id]);
  const id = await order(customer);
  t.equal((await untilTold(customer, id, 1)).length, 1);
  t.same(await reports(customer.id), []);
});

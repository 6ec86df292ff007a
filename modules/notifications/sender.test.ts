import t from 'tap';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { uuidv7 } from '#kernel';
import { openMailbox, type TestShop, testShop } from '#testing';
import type { Carriers, Message } from './carrier.ts';
import { Sender } from './sender.ts';
import { smtpCarrier } from './smtp.ts';

const mailbox = await openMailbox();
const settings = { SMTP_URL: mailbox.url, MAIL_FROM: 'Cleave <shop@cleave.example>', MAIL_TRIES: '5', MAIL_RETRY_MS: '1' };
const shop = await testShop(t, { settings });
t.teardown(() => mailbox.goDown());

interface Row {
  readonly id: string;
  readonly status: string;
  readonly tries: number;
  readonly last_error: string | null;
}

/** A queued message that is due. With tries it is what a process leaves that died with the message in hand. */
async function queue(to: TestShop, recipient: string, { channel = 'email', tries = 0 } = {}): Promise<string> {
  const id = uuidv7();
  await to.sql(
    'notifications',
    `insert into notification (id, event_id, channel, user_id, recipient, subject, body, status, tries)
     values ($1, $1, $2, $1, $3, 'Hello', 'It is on its way.', 'queued', $4)`,
    [id, channel, recipient, tries],
  );
  return id;
}

async function row(id: string): Promise<Row> {
  const [found] = await shop.sql<Row>('notifications', 'select id, status, tries, last_error from notification where id = $1', [id]);
  return found!;
}

async function settled(id: string): Promise<Row> {
  return shop.until(async () => {
    const found = await row(id);
    return found.status !== 'queued' && found;
  }, `message ${id} to be sent or given up`);
}

function mailsTo(recipient: string) {
  return mailbox.mails.filter(({ envelopeTo }) => envelopeTo.includes(recipient));
}

void t.test('what happens to an order goes out by SMTP', async (t) => {
  const customer = await shop.customer();
  const product = await shop.product({ price: 1999 });
  const body = {
    items: [{ productId: product.id, quantity: 1 }],
    shippingAddress: { name: 'Ada', line1: '1 Analytical Way', city: 'London', postalCode: 'N1 9GU', country: 'GB' },
    payment: { method: 'card', cardToken: 'tok_visa' },
  };
  const order = await shop.request('POST', '/api/v1/orders', { token: customer.token, body });
  const address = `${customer.username}@example.com`;
  await shop.until(() => mailsTo(address).length >= 2, 'two e-mails at the SMTP server');

  const about = (subject: RegExp) => mailsTo(address).filter(({ headers }) => subject.test(headers.get('subject')![0]!));
  const [received, ...more] = about(/^We received your order [0-9A-F]{8}$/);
  t.same(more, []);
  t.match(received!.text, `1 x ${product.name}, $19.99 each`);
  t.match(received!.text, `Order: ${order.body.id}`);
  t.equal(about(/^We received your payment for order [0-9A-F]{8}$/).length, 1);
  const shown = await shop.until(async () => {
    const { items } = (await shop.request('GET', '/api/v1/notifications', { token: customer.token })).body;
    return items.length === 2 && items.every(({ status }: { status: string }) => status === 'sent') && items;
  }, 'both to be shown as sent');
  t.same(
    shown.map(({ id }: { id: string }) => `<${id}@cleave.example>`).toSorted(),
    mailsTo(address).map(({ headers }) => headers.get('message-id')![0]).toSorted(),
  );
});

void t.test('with the server down messages wait, and go out once when it is back', async (t) => {
  await mailbox.goDown();
  const id = await queue(shop, 'patient@example.com');
  const waiting = await shop.until(async () => {
    const found = await row(id);
    return found.last_error !== null && found;
  }, 'a first try to fail');
  t.equal(waiting.status, 'queued');
  t.match(waiting.last_error, 'ECONNREFUSED');

  await mailbox.comeBack();
  t.match(await settled(id), { status: 'sent', last_error: null });
  t.equal(mailsTo('patient@example.com').length, 1);
});

void t.test('an address that is refused fails at once and holds up no other', async (t) => {
  mailbox.refuse('RCPT TO', 550);
  const refused = await settled(await queue(shop, 'nobody@example.com'));
  t.match(refused, { status: 'failed', tries: 1 });
  t.match(refused.last_error, '550');
  mailbox.refuse(undefined);
  t.match(await settled(await queue(shop, 'somebody@example.com')), { status: 'sent', tries: 1 });
});

void t.test('a message is given up when its tries are used up', async (t) => {
  mailbox.refuse('DATA', 451);
  t.teardown(() => mailbox.refuse(undefined));
  t.match(await settled(await queue(shop, 'unlucky@example.com', { tries: 4 })), { status: 'failed', tries: 5 });
});

void t.test('a message that a dead process had in hand goes out under its own Message-ID', async (t) => {
  const id = await queue(shop, 'survivor@example.com', { tries: 1 });
  t.match(await settled(id), { status: 'sent', tries: 2 });
  t.same(mailsTo('survivor@example.com').map(({ headers }) => headers.get('message-id')), [[`<${id}@cleave.example>`]]);
});

void t.test('several senders on one database send each message once, each channel by its own carrier', async (t) => {
  const texts: Message[] = [];
  const provider = { send: async (message: Message) => void texts.push(message), close: () => undefined };
  const email = () => smtpCarrier({ url: mailbox.url, from: settings.MAIL_FROM, connections: 2, timeoutMs: 5_000 });
  const senders = [1, 2].map(() => senderFor({ email: email(), sms: provider }));
  t.teardown(async () => void (await Promise.all(senders.map((sender) => sender.close()))));

  const ids = await Promise.all(Array.from({ length: 20 }, (_, i) => queue(shop, `crowd${i}@example.com`)));
  const text = await queue(shop, '+442079460018', { channel: 'sms' });
  for (const sender of senders) sender.wake();

  for (const id of [...ids, text]) t.match(await settled(id), { status: 'sent', tries: 1 });
  t.equal(mailbox.mails.filter(({ envelopeTo }) => envelopeTo[0]!.startsWith('crowd')).length, 20);
  t.equal(texts.length, 1);
  t.match(texts, [{ id: text, recipient: '+442079460018', body: 'It is on its way.' }]);
});

function senderFor(carriers: Carriers): Sender {
  const { db } = shop.module('notifications');
  return new Sender({ db, carriers, log: pino({ level: 'silent' }), metrics: new Registry(), inSpan: (call, _span, work) => work(call), maxTries: 3, firstPauseMs: 1 });
}

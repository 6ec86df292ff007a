import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import t from 'tap';
import { openMailbox } from '#testing';
import { type Message, MessageRefused } from './carrier.ts';
import { credentialsWouldTravelInTheClear, domainOf, isRefusedForGood, smtpCarrier } from './smtp.ts';

const message: Message = {
  id: '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10',
  recipient: 'ada@example.com',
  subject: 'We received your order — thank you',
  body: 'Hello,\n\n  2 x Café crème, €4.50 each\n.\nFrom here on it is ours.\n',
  createdAt: new Date('2026-11-23T08:15:30.000Z'),
};

function carrierFor(url: string, timeoutMs = 5_000) {
  return smtpCarrier({ url, from: 'Cleave <shop@cleave.example>', connections: 2, timeoutMs });
}

void t.test('a message arrives as it was written', async (t) => {
  const mailbox = await openMailbox();
  const carrier = carrierFor(mailbox.url.replace('//', '//shop:s%65cret@'));
  t.teardown(async () => {
    carrier.close();
    await mailbox.goDown();
  });

  await carrier.send(message);

  const [mail] = mailbox.mails;
  t.same(mail!.envelopeTo, ['ada@example.com']);
  t.equal(mail!.text, message.body);
  const header = (name: string) => mail!.headers.get(name);
  t.same(header('subject'), [message.subject]);
  t.same(header('from'), ['Cleave <shop@cleave.example>']);
  t.same(header('to'), ['ada@example.com']);
  t.same(header('message-id'), [`<${message.id}@cleave.example>`]);
  t.equal(new Date(header('date')![0]!).toISOString(), message.createdAt.toISOString());
  t.same(header('auto-submitted'), ['auto-generated']);
});

void t.test('nothing in a message can add a header or a recipient', async (t) => {
  const mailbox = await openMailbox();
  const carrier = carrierFor(mailbox.url);
  t.teardown(async () => {
    carrier.close();
    await mailbox.goDown();
  });

  await carrier.send({ ...message, subject: 'Hello\r\nBcc: eve@example.com\r\n\r\nbuy', body: '.\r\nRCPT TO:<eve@example.com>\r\n' });
  t.same(mailbox.mails[0]!.envelopeTo, ['ada@example.com']);
  t.notOk(mailbox.mails[0]!.headers.has('bcc'));

  for (const recipient of ['ada@example.com\r\nRCPT TO:<eve@example.com>', 'ada@example.com>\r\nDATA', 'nobody', '']) {
    await t.rejects(carrier.send({ ...message, recipient }), MessageRefused, `${JSON.stringify(recipient)} is not an address`);
  }
  await carrier.send({ ...message, recipient: 'ada@example.com, eve@example.com' }).catch(() => undefined);
  t.notOk(mailbox.mails.some((mail) => mail.envelopeTo.includes('eve@example.com')), 'a list of addresses reaches nobody else');
});

void t.test('a refusal is final only where another try would end the same way', async (t) => {
  const mailbox = await openMailbox();
  const carrier = carrierFor(mailbox.url);
  t.teardown(async () => {
    carrier.close();
    await mailbox.goDown();
  });

  mailbox.refuse('RCPT TO', 550);
  await t.rejects(carrier.send(message), MessageRefused, 'the mailbox does not exist');
  mailbox.refuse('DATA', 554);
  await t.rejects(carrier.send(message), MessageRefused, 'the content is not taken');
  for (const [stage, code] of [['RCPT TO', 451], ['DATA', 452], ['MAIL FROM', 550]] as const) {
    mailbox.refuse(stage, code);
    await t.rejects(carrier.send(message), { name: 'Error', responseCode: code }, `${stage} ${code} may go better later`);
  }
  mailbox.refuse(undefined);
  await carrier.send(message);
  t.equal(mailbox.mails.length, 1);
});

void t.test('a repetition after a lost reply carries the same Message-ID', async (t) => {
  const mailbox = await openMailbox();
  const carrier = carrierFor(mailbox.url);
  t.teardown(async () => {
    carrier.close();
    await mailbox.goDown();
  });

  mailbox.loseReplies(true);
  await t.rejects(carrier.send(message), { name: 'Error' }, 'nobody knows whether it was taken');
  t.equal(mailbox.mails.length, 1, 'it is tried once: repeating is up to the caller');
  mailbox.loseReplies(false);
  await carrier.send(message);
  t.equal(mailbox.mails.length, 2);
  t.same(mailbox.mails[1]!.headers.get('message-id'), mailbox.mails[0]!.headers.get('message-id'));
});

void t.test('a server that is down or says nothing is an error within the time-out', async (t) => {
  const sockets: Socket[] = [];
  const silent = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const carrier = carrierFor(`smtp://127.0.0.1:${port}`, 100);
  t.teardown(() => carrier.close());
  await t.rejects(carrier.send(message), { name: /^(Abort)?Error$/ });

  for (const socket of sockets) socket.destroy();
  silent.close();
  await once(silent, 'close');
  const down = await carrier.send(message).catch((error: unknown) => error);
  t.match(down, { code: 'ESOCKET', originalCode: 'ECONNREFUSED' });
  t.notOk(down instanceof MessageRefused);
});

void t.test('a password crosses a network only inside TLS', async (t) => {
  t.ok(credentialsWouldTravelInTheClear('smtp://shop:secret@mail.example:587'));
  t.notOk(credentialsWouldTravelInTheClear('smtps://shop:secret@mail.example'));
  t.notOk(credentialsWouldTravelInTheClear('smtp://mail.example'));
  t.notOk(credentialsWouldTravelInTheClear('smtp://shop:secret@localhost:1025'));
  t.notOk(credentialsWouldTravelInTheClear('smtp://shop:secret@[::1]:1025'));
});

void t.test('a fault of our own set-up is never held against the message', async (t) => {
  t.notOk(isRefusedForGood({ code: 'EAUTH', command: 'AUTH PLAIN', permanent: true }));
  t.notOk(isRefusedForGood({ code: 'ETLS' }));
  t.notOk(isRefusedForGood({ code: 'ECONNECTION', permanent: true }));
  t.ok(isRefusedForGood({ code: 'EENVELOPE', command: 'API' }));
});

void t.test('the Message-ID takes the domain of the sender', async (t) => {
  t.equal(domainOf('Cleave <shop@cleave.example>'), 'cleave.example');
  t.equal(domainOf('shop@cleave.example'), 'cleave.example');
});

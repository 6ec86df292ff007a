/** What happens to a ticket about an order stands in the order's history, once, also when orders is away for a while or is told again. */
import t, { type Test } from 'tap';
import { type Reply, type SignedIn, testShop } from '#testing';

const settings = { EVENT_RETRY_BASE_MS: '20', EVENT_RETRY_MAX_MS: '100', EVENT_MAX_ATTEMPTS: '1' };
const shop = await testShop(t, { settings });
const [ada, support] = [await shop.customer(), await shop.support()];
const shippingAddress = { name: 'Ada Lovelace', line1: '12 St James Square', city: 'London', postalCode: 'SW1Y 4JH', country: 'GB' };
const intake = shop.module('support').intakes.get('support.order-record')!;

interface Entry {
  readonly at: string;
  readonly event: string;
  readonly detail: string;
}

async function post(path: string, user: SignedIn, body?: object): Promise<Reply> {
  const reply = await shop.request('POST', `/api/v1${path}`, { token: user.token, ...(body && { body }) });
  if (reply.status >= 300) throw new Error(`POST ${path} answered ${reply.status}: ${JSON.stringify(reply.body)}`);
  return reply;
}

async function order(): Promise<string> {
  const { id } = await shop.product();
  const { body } = await post('/orders', ada, { items: [{ productId: id, quantity: 1 }], shippingAddress });
  return body.id;
}

async function openAbout(orderId?: string): Promise<string> {
  const { body } = await post('/tickets', ada, { subject: 'My secret', body: 'Do not tell.', ...(orderId !== undefined && { orderId }) });
  return body.id;
}

async function tickets(orderId: string, reader = ada): Promise<readonly Entry[]> {
  const { body } = await shop.request('GET', `/api/v1/orders/${orderId}/history`, { token: reader.token });
  return body.filter(({ event }: Entry) => event.startsWith('ticket_'));
}

async function untilTells(t: Pick<Test, 'same'>, orderId: string, events: readonly string[]): Promise<readonly Entry[]> {
  const entries = await shop.until(async () => {
    const seen = await tickets(orderId);
    return seen.length >= events.length && seen;
  }, `${events.length} entries of tickets`);
  t.same(entries.map(({ event }) => event), events);
  return entries;
}

async function published(ticketId: string) {
  const rows = await shop.sql<{ data: Parameters<typeof intake.handle>[0][number] }>('support_outbox', `select data from job where name = 'events' and data->>'aggregateId' = $1 order by id`, [ticketId]);
  return rows.map(({ data }) => data);
}

const WHOLE = ['ticket_opened', 'ticket_answered', 'ticket_closed'];

t.test('a conversation about an order, in the history that its customer and staff read', async (t) => {
  const about = await order();
  const id = await openAbout(about);
  await post(`/tickets/${id}/messages`, support, { body: 'Between us.' });
  await post(`/tickets/${id}/messages`, ada, { body: 'Thank you.' });
  await post(`/tickets/${id}/close`, ada);
  const entries = await untilTells(t, about, WHOLE);

  const number = id.slice(-8).toUpperCase();
  t.same(entries.map(({ detail }) => detail), ['the customer asked for help', 'the shop answered', 'closed by the customer'].map((what) => `Ticket ${number}: ${what}`), 'and nothing of what was written');
  t.same(entries.map(({ at }) => at), (await published(id)).map(({ occurredAt }) => occurredAt), 'each at its time');
  t.same(await tickets(about, support), entries);
});

t.test('a ticket about nothing is in nobody\'s history', async (t) => {
  const id = await openAbout();
  await post(`/tickets/${id}/close`, support);
  await shop.until(async () => (await shop.sql('support_outbox', `select from inbox where subscriber = 'support.order-record' and event_id::text in (select data->>'id' from job where data->>'aggregateId' = $1)`, [id])).length === 2, 'both events to be handled');
  t.same(await shop.sql('support_outbox', `select from event_delivery where aggregate_id::text = $1`, [id]), []);
});

t.test('what is told again, though nobody remembers that it was told, stands there once', async (t) => {
  const about = await order();
  const id = await openAbout(about);
  await post(`/tickets/${id}/messages`, support, { body: 'Between us.' });
  await post(`/tickets/${id}/close`, support);
  const once = await untilTells(t, about, WHOLE);
  for (const event of await published(id)) {
    await shop.sql('support_outbox', 'delete from inbox where event_id = $1', [event.id]);
    t.match(await Promise.all([intake.handle([event]), intake.handle([event])]), [[{ outcome: 'handled' }], [{ outcome: 'handled' }]]);
  }
  t.same(await tickets(about), once);
});

t.test('while orders is away the conversation goes on; the history learns of it later, at the time of each', async (t) => {
  const about = await order();
  const id = await openAbout(about);
  await untilTells(t, about, ['ticket_opened']);
  const { gate } = shop.module('orders');
  await gate.close();
  t.teardown(() => gate.open());
  await post(`/tickets/${id}/messages`, support, { body: 'Between us.' });
  await post(`/tickets/${id}/close`, support);
  const waiting = async () => (await shop.sql(`support_outbox`, `select from event_delivery where subscriber = 'support.order-record' and attempts = 0 and next_at > parked_at + interval '50 ms'`)).length > 0;
  await shop.until(waiting, 'another attempt to find orders away');
  const back = new Date().toISOString();
  gate.open();

  const entries = await untilTells(t, about, WHOLE);
  t.ok(entries.every(({ at }) => at < back));
});

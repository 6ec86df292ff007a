/** Tickets through the public door: a conversation from its first question to its end, and everything that may get between. */
import pg from 'pg';
import t from 'tap';
import { uuidv7 } from '#kernel';
import { type Reply, type SignedIn, testShop } from '#testing';
import { MAX_MESSAGES } from './ticket.ts';

const shop = await testShop(t);
const [ada, bob, support, admin] = [await shop.customer(), await shop.customer(), await shop.support(), await shop.admin()];
const shippingAddress = { name: 'Ada Lovelace', line1: '12 St James Square', city: 'London', postalCode: 'SW1Y 4JH', country: 'GB' };
const NOBODYS = '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10';

const get = async (path: string, user: SignedIn): Promise<Reply> => shop.request('GET', `/api/v1/tickets${path}`, { token: user.token });
const post = async (path: string, user: SignedIn, body?: object): Promise<Reply> => shop.request('POST', `/api/v1/tickets${path}`, { token: user.token, ...(body && { body }) });
const ask = async (user: SignedIn, extra: object = {}): Promise<Reply> => post('', user, { subject: 'Where is it?', body: 'I am waiting.', ...extra });
const write = async (id: string, user: SignedIn, body = 'And now?'): Promise<Reply> => post(`/${id}/messages`, user, { body });
const bodies = (reply: Reply): string[] => reply.body.messages.map(({ body }: { body: string }) => body);
const ids = (reply: Reply): string[] => reply.body.items.map(({ id }: { id: string }) => id);

async function orderOf(customer: SignedIn): Promise<string> {
  const { id } = await shop.product();
  const { body } = await shop.request('POST', '/api/v1/orders', { token: customer.token, body: { items: [{ productId: id, quantity: 1 }], shippingAddress } });
  return body.id;
}

async function published(ticketId: string): Promise<{ type: string; data: object }[]> {
  return shop.sql('support_outbox', `select data->>'type' as type, data->'data' as data from job where name = 'events' and data->>'aggregateId' = $1 order by id`, [ticketId]);
}

/** Another process of the shop in the middle of a transaction that holds the ticket. */
async function holding(t: { teardown(action: () => Promise<void>): void }, ticketId: string): Promise<pg.Client> {
  const other = new pg.Client({ connectionString: shop.adminUrlOf('support'), options: '-c search_path=support' });
  await other.connect();
  t.teardown(async () => other.end());
  await other.query('begin');
  await other.query('select from ticket where id = $1 for update', [ticketId]);
  return other;
}

async function untilBlocked(count: number): Promise<void> {
  const waiting = `select count(*) as waiting from pg_stat_activity
    where datname = current_database() and application_name = 'cleave:support' and wait_event_type = 'Lock'`;
  await shop.until(async () => (await shop.sql<{ waiting: number }>('support', waiting))[0]!.waiting >= count, `${count} statements that wait for a lock`);
}

t.test('a customer asks, staff answers, the customer ends it', async (t) => {
  const opened = await ask(ada, { subject: ' Broken handle ', body: 'It came off.\nWhat now?' });
  t.equal(opened.status, 201);
  t.match(opened.body, { customerId: ada.id, orderId: null, subject: 'Broken handle', status: 'open', closedAt: null });
  t.match(opened.body.messages, [{ authorId: ada.id, authorRole: 'customer', body: 'It came off.\nWhat now?' }]);
  const { id } = opened.body;

  const answered = await write(id, support, 'Send it back.');
  t.match(answered, { status: 201, body: { authorId: support.id, authorRole: 'support', body: 'Send it back.' } });
  await write(id, ada, 'Thank you!');
  const seen = await get(`/${id}`, ada);
  t.same(bodies(seen), ['It came off.\nWhat now?', 'Send it back.', 'Thank you!'], 'oldest first');
  t.ok(seen.body.updatedAt > opened.body.updatedAt);
  t.same((await get(`/${id}`, support)).body, seen.body);

  const closed = await post(`/${id}/close`, ada);
  t.match(closed, { status: 200, body: { status: 'closed', closedAt: String } });
  t.same(bodies(closed), bodies(seen));
  t.same((await post(`/${id}/close`, admin)).body, closed.body, 'closing it again changes nothing');
  for (const user of [ada, support]) t.match(await write(id, user), { status: 409, body: { code: 'TICKET_CLOSED' } });
  t.same(await published(id), [
    { type: 'support.ticket-opened.v1', data: { ticketId: id, customerId: ada.id, orderId: null } },
    { type: 'support.ticket-answered.v1', data: { ticketId: id, customerId: ada.id, orderId: null, messageId: answered.body.id } },
    { type: 'support.ticket-closed.v1', data: { ticketId: id, customerId: ada.id, orderId: null, by: 'customer' } },
  ]);
});

t.test('a ticket about an order is about one of the customer\'s own', async (t) => {
  const [own, foreign] = [await orderOf(ada), await orderOf(bob)];
  t.match(await ask(ada, { orderId: own.toUpperCase() }), { status: 201, body: { orderId: own } });
  const missing = await ask(ada, { orderId: NOBODYS });
  const hidden = await ask(ada, { orderId: foreign });
  t.match(missing, { status: 404, body: { code: 'ORDER_NOT_FOUND' } });
  t.same([hidden.status, hidden.body.code, hidden.body.title], [missing.status, missing.body.code, missing.body.title], 'nobody learns that it exists');
  t.equal((await get(`?orderId=${foreign}`, admin)).body.items.length, 0, 'nothing was kept of what was refused');
  t.same((await get(`?orderId=${own}`, support)).body.items.length, 1);
});

t.test('without orders, tickets about orders wait, and the others do not', async (t) => {
  const order = await orderOf(ada);
  const { gate } = shop.module('orders');
  await gate.close();
  t.teardown(() => gate.open());
  t.match(await ask(ada, { orderId: order }), { status: 503, body: { code: 'UNAVAILABLE' } });
  const { id } = (await ask(ada)).body;
  t.equal((await write(id, support)).status, 201);
});

t.test('tickets are their customer\'s and staff\'s', async (t) => {
  const { id } = (await ask(bob)).body;
  for (const reply of [await get(`/${id}`, ada), await write(id, ada), await post(`/${id}/close`, ada), await get(`/${NOBODYS}`, admin), await write(NOBODYS, admin)]) {
    t.match(reply, { status: 404, body: { code: 'TICKET_NOT_FOUND' } });
  }
  t.equal((await get(`/${id}`, bob)).body.status, 'open');
  for (const staff of [support, admin]) {
    t.equal((await get(`/${id}`, staff)).status, 200);
    t.match(await ask(staff), { status: 403, body: { code: 'FORBIDDEN' } }, 'a ticket is a customer\'s');
    t.equal((await write(id, staff)).status, 201);
    t.ok(ids(await get('?limit=100', staff)).includes(id));
  }
  t.notOk(ids(await get('?limit=100', ada)).includes(id));
  t.equal((await shop.request('GET', '/api/v1/tickets')).status, 401);
});

t.test('lists are paged, newest first, by status, and stable under inserts', async (t) => {
  const carol = await shop.customer();
  const made: string[] = [];
  for (let n = 0; n < 5; n += 1) made.unshift((await ask(carol)).body.id);
  const first = await get('?limit=3', carol);
  await ask(carol);
  const second = await get(`?limit=3&cursor=${first.body.nextCursor}`, carol);
  t.same([...ids(first), ...ids(second)], made);
  t.equal(second.body.nextCursor, null);
  t.notOk('messages' in first.body.items[0], 'a list tells no stories');
  await post(`/${made[1]}/close`, support);
  t.same(ids(await get('?status=closed', carol)), [made[1]]);
  t.equal(ids(await get('?status=open', carol)).length, 5);
});

t.test('what makes no sense is refused at the door', async (t) => {
  const { id } = (await ask(ada)).body;
  const questions = [{ subject: '' }, { subject: ' ' }, { subject: 'a\nb' }, { subject: 'x'.repeat(201) }, { body: '' }, { body: ' \n\t' }, { body: 'a\u0007' }, { body: 'x'.repeat(5_001) }, { orderId: '7' }, { orderId: null }, { customerId: bob.id }, { status: 'closed' }];
  for (const extra of questions) t.match(await ask(ada, extra), { status: 400, body: { code: 'VALIDATION_FAILED' } }, JSON.stringify(extra).slice(0, 40));
  t.equal((await ask(ada, { body: 'ä'.repeat(5_000) })).status, 201);
  for (const body of [undefined, {}, { body: '' }, { body: 'x', authorId: bob.id }]) t.equal((await post(`/${id}/messages`, ada, body)).status, 400);
  t.equal((await post(`/${id}/close`, ada, { reason: 'x' })).status, 400);
  for (const path of ['?limit=0', '?limit=101', '?status=lost', '?cursor=nonsense', `?cursor=${Buffer.from('["x"]').toString('base64url')}`, '?customerId=1', '/7']) {
    t.match(await get(path, ada), { status: 400, body: { code: 'VALIDATION_FAILED' } }, path);
  }
});

t.test('a message and the end at once: what comes second finds what the first did', async (t) => {
  for (const first of ['message', 'close'] as const) {
    const { id } = (await ask(ada)).body;
    const holder = await holding(t, id);
    // Waiting for one row lock is first come, first served.
    const start = { message: async () => write(id, support, 'Last words'), close: async () => post(`/${id}/close`, ada) };
    const winner = start[first]();
    await untilBlocked(1);
    const loser = start[first === 'message' ? 'close' : 'message']();
    await untilBlocked(2);
    await holder.query('commit');
    const statuses = { [first]: (await winner).status, [first === 'message' ? 'close' : 'message']: (await loser).status };
    t.same(statuses, first === 'message' ? { message: 201, close: 200 } : { close: 200, message: 409 });
    const kept = await get(`/${id}`, ada);
    t.equal(kept.body.status, 'closed');
    t.equal(kept.body.messages.length, first === 'message' ? 2 : 1);
    t.equal((await published(id)).length, first === 'message' ? 3 : 2);
  }
});

t.test('a ticket that is closed ten times at once is closed once', async (t) => {
  const { id } = (await ask(ada)).body;
  const replies = await Promise.all(Array.from({ length: 10 }, async (_, n) => post(`/${id}/close`, n % 2 ? ada : support)));
  t.same(new Set(replies.map(({ status, body }) => `${status} ${body.closedAt}`)).size, 1);
  t.equal((await published(id)).length, 2);
});

t.test('a ticket has an end, also for those who write much at once', async (t) => {
  const { id } = (await ask(ada)).body;
  await shop.sql('support', 'insert into message (id, ticket_id, author_id, author_role, body, created_at) select id, $1, $2, \'customer\', \'more\', now() from unnest($3::uuid[]) as id', [id, ada.id, Array.from({ length: MAX_MESSAGES - 3 }, () => uuidv7())]);
  await shop.sql('support', 'update ticket set messages = $2 where id = $1', [id, MAX_MESSAGES - 2]);
  const replies = await Promise.all(Array.from({ length: 6 }, async () => write(id, ada)));
  t.same(replies.map(({ status }) => status).toSorted(), [201, 201, 409, 409, 409, 409]);
  t.match(replies.find(({ status }) => status === 409)!.body, { code: 'TICKET_FULL' });
  t.equal((await get(`/${id}`, ada)).body.messages.length, MAX_MESSAGES);
  t.match(await post(`/${id}/close`, ada), { status: 200, body: { status: 'closed' } });
});

/** Invariant I9: one order is one trace, from the request to the mail, across modules, events, saga and SQL; and it tells no secrets. */
import t from 'tap';
import { openMailbox, type RecordedSpan, recordSpans, type SignedIn, testShop } from '#testing';

const recorder = await recordSpans(t);
const mailbox = await openMailbox();
t.teardown(() => mailbox.goDown());
const shop = await testShop(t, { tracing: recorder.tracing, settings: { SMTP_URL: mailbox.url } });
const customer = await shop.customer();
const product = await shop.product({ price: 1999 });

const CALLER = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' };
const tracestate = 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE';
const address = { name: 'Ada Lovelace', line1: '1 Analytical Way', city: 'London', postalCode: 'N1 9GU', country: 'GB' };

/** Places an order as part of a trace, and waits for both mails about it and for its history to tell of them. */
async function order(who: SignedIn, cardToken: string, traceparent: string): Promise<{ id: string; traceparent: string }> {
  const before = mailbox.mails.length;
  const body = { items: [{ productId: product.id, quantity: 1 }], shippingAddress: address, payment: { method: 'card', cardToken } };
  const reply = await shop.request('POST', '/api/v1/orders', { token: who.token, body, headers: { traceparent, tracestate } });
  t.equal(reply.status, 201);
  await shop.until(() => mailbox.mails.length >= before + 2, 'two mails');
  await shop.until(async () => (await shop.sql('notifications', `select from notification where status = 'queued'`)).length === 0, 'both to be on record');
  await shop.until(async () => (await shop.sql('notifications', 'select from order_report')).length === 0, 'the order to know of them');
  return { id: reply.body.id, traceparent: reply.headers.get('traceparent')! };
}

function spansOf(traceId: string): RecordedSpan[] {
  return recorder.spans().filter((span) => span.traceId === traceId);
}

/** Each span with those that it is in, outermost first; statements are only counted. */
function paths(spans: readonly RecordedSpan[]): string[] {
  const byId = new Map(spans.map((span) => [span.id, span]));
  const path = (span: RecordedSpan | undefined): string[] => (span ? [...path(byId.get(span.parentId ?? '')), span.name] : []);
  return [...new Set(spans.filter((span) => !isStatement(span)).map((span) => path(span).join(' > ')))].toSorted();
}

function isStatement({ attributes }: RecordedSpan): boolean {
  return 'db.system.name' in attributes;
}

const ROUTE = 'POST /api/v1/orders';
const delivery = (publisher: string, event: string): string[] => {
  const deliver = `${publisher} > publish ${event} > deliver ${event}`;
  return [`${publisher} > publish ${event}`, deliver, `${deliver} > process ${event}`];
};
const mail = (publisher: string, event: string): string[] => {
  const path = delivery(publisher, event);
  return [...path, `${path.at(-1)} > users.getUser`, `${path.at(-1)} > send email`];
};

void t.test('an order is one trace, from the request to the mail', async (t) => {
  const { id, traceparent } = await order(customer, 'tok_visa', `00-${CALLER.traceId}-${CALLER.spanId}-01`);
  const charge = `${ROUTE} > begin fulfilment > run fulfilment.charge`;
  const wanted = [
    ROUTE,
    `${ROUTE} > catalog.getProducts`,
    `${ROUTE} > begin fulfilment`,
    `${ROUTE} > begin fulfilment > run fulfilment.reserve`,
    `${ROUTE} > begin fulfilment > run fulfilment.reserve > inventory.reserve`,
    charge,
    `${charge} > payments.charge`,
    `${charge} > payments.charge > gateway charge`,
    `${ROUTE} > begin fulfilment > run fulfilment.commit`,
    `${ROUTE} > begin fulfilment > run fulfilment.commit > inventory.commit`,
    `${ROUTE} > begin fulfilment > run fulfilment.ship`,
    `${ROUTE} > begin fulfilment > run fulfilment.ship > shipping.createShipment`,
    ...delivery(`${ROUTE} > begin fulfilment > run fulfilment.ship`, 'orders.order-confirmed.v1'),
    ...mail(ROUTE, 'orders.order-placed.v1'),
    ...mail(`${charge} > payments.charge`, 'payments.payment-completed.v1'),
  ].toSorted();
  const spans = await shop.until(() => {
    const found = spansOf(CALLER.traceId);
    return paths(found).length >= wanted.length && found;
  }, 'all spans to end');

  t.same(paths(spans), wanted);
  const byId = new Map(spans.map((span) => [span.id, span]));
  const [root, ...others] = spans.filter(({ parentId }) => !byId.has(parentId!));
  t.same(others, [], 'one root');
  t.equal(root!.parentId, CALLER.spanId, 'which continues the caller\'s trace');
  t.equal(traceparent, `00-${CALLER.traceId}-${root!.id}-01`, 'and is what the caller is told');
  t.same(spans.filter((span) => span.tracestate !== tracestate), [], 'the caller\'s tracestate is passed on to each');
  t.same(spans.filter(({ failed }) => failed).map(({ name }) => name), []);

  for (const path of ['inventory.reserve', 'payments.charge', 'users.getUser', 'shipping.createShipment', 'run fulfilment.ship', 'process orders.order-placed.v1', ROUTE]) {
    const parent = spans.find(({ name }) => name === path)!;
    t.ok(spans.some((span) => isStatement(span) && span.parentId === parent.id), `${path} shows its SQL`);
  }
  for (const span of spans) {
    const parent = byId.get(span.parentId ?? '');
    if (parent) t.ok(span.start >= parent.start, `${span.name} begins after ${parent.name}`);
  }
  t.equal(spans.find(({ name }) => name === 'run fulfilment.charge')!.attributes['cleave.saga.id'], id);
});

void t.test('spans say what OpenTelemetry\'s semantic conventions want to be said', async (t) => {
  const find = (name: string) => spansOf(CALLER.traceId).find((span) => span.name === name)!;
  t.match(find(ROUTE), {
    kind: 'server',
    attributes: { 'http.request.method': 'POST', 'http.route': '/api/v1/orders', 'url.path': '/api/v1/orders', 'url.scheme': 'http', 'http.response.status_code': 201, 'network.protocol.version': '1.1' },
  });
  t.match(find('inventory.reserve'), { kind: 'internal', attributes: { 'rpc.system.name': 'cleave', 'rpc.method': 'inventory.reserve', 'rpc.status_code': 'ok', 'cleave.caller': 'orders' } });
  t.match(find('publish orders.order-placed.v1'), {
    kind: 'producer',
    attributes: { 'messaging.system.name': 'pg-boss', 'messaging.operation.name': 'publish', 'messaging.operation.type': 'send', 'messaging.destination.name': 'orders.order-placed.v1', 'messaging.message.id': /^[0-9a-f-]{36}$/ },
  });
  t.match(find('process orders.order-placed.v1'), {
    kind: 'consumer',
    attributes: { 'messaging.operation.name': 'process', 'messaging.operation.type': 'process', 'messaging.consumer.group.name': 'notifications.customer-messages' },
  });
  t.match(find('deliver orders.order-placed.v1').attributes, { 'cleave.delivery.outcome': 'handled' });
  t.match(find('SELECT account'), {
    kind: 'client',
    attributes: { 'db.system.name': 'postgresql', 'db.namespace': `${shop.database.name}|users`, 'db.query.summary': 'SELECT account', 'db.query.text': /^select id, username.*where id = \$1::uuid$/ },
  });
  const placing = spansOf(CALLER.traceId).find((span) => isStatement(span) && span.parentId === find(ROUTE).id)!;
  t.match(placing.attributes, { 'db.operation.batch.size': 5, 'db.query.text': /^begin; with placed as .*; commit$/ });
  t.equal(placing.name, 'BEGIN; INSERT customer_order INSERT order_item INSERT order_event; INSERT orders_outbox.saga; INSERT orders_outbox.job; COMMIT');
});

void t.test('a declined order shows what was taken back, in its trace too', async (t) => {
  const traceId = 'a'.repeat(32);
  await order(customer, 'tok_declined', `00-${traceId}-${CALLER.spanId}-01`);
  const undone = await shop.until(() => {
    const names = spansOf(traceId).map(({ name }) => name).filter((name) => name.startsWith('undo '));
    return names.length === 2 && names;
  }, 'both steps to be undone');
  t.same(undone, ['undo fulfilment.charge', 'undo fulfilment.reserve']);
  t.same(spansOf(traceId).filter(({ failed }) => failed).map(({ name }) => name), [], 'a decline is an answer, not a failure');
});

void t.test('a caller that does not want its trace recorded has nothing recorded, mails included', async (t) => {
  const traceId = 'b'.repeat(32);
  const before = recorder.spans().length;
  const { traceparent } = await order(customer, 'tok_visa', `00-${traceId}-${CALLER.spanId}-00`);
  t.match(traceparent, new RegExp(`^00-${traceId}-(?!${CALLER.spanId})[0-9a-f]{16}-00$`));
  t.same(recorder.spans().slice(before).filter((span) => span.traceId === traceId).map(({ name }) => name), []);
});

void t.test('what is read through an entity manager is in the trace, its values are not', async (t) => {
  const traceId = 'c'.repeat(32);
  const headers = { traceparent: `00-${traceId}-${CALLER.spanId}-01` };
  t.equal((await shop.request('GET', '/api/v1/notifications?limit=7', { token: customer.token, headers })).status, 200);
  const statement = await shop.until(() => spansOf(traceId).find(isStatement), 'the statement');
  t.equal(statement.name, 'SELECT notifications.notification');
  t.match(statement.attributes['db.query.text'], /"n0"\."user_id" = \? order by .* limit \?$/);
  t.equal(spansOf(traceId).find(({ id }) => id === statement.parentId)!.name, 'GET /api/v1/notifications');
});

void t.test('a shop at rest leaves no spans', async (t) => {
  recorder.forget();
  const commits = async () => (await shop.sql<{ n: number }>('notifications', 'select xact_commit as n from pg_stat_database where datname = current_database()'))[0]!.n;
  const before = await commits();
  await shop.until(async () => (await commits()) > before + 100, 'relays and tasks to have looked for work');
  t.same(recorder.spans().map(({ name }) => name), []);
});

void t.test('nothing secret or personal is in any span', async (t) => {
  const told = 'told.to.a.trace@example.com';
  const headers = { traceparent: `00-${'d'.repeat(32)}-${CALLER.spanId}-01`, 'user-agent': told };
  const stranger = await shop.customer();
  await order(stranger, 'tok_visa', `00-${'e'.repeat(32)}-${CALLER.spanId}-01`);
  await shop.request('POST', '/api/v1/users', { body: { username: stranger.username, email: told, password: 'a password of mine' }, headers });
  await shop.request('PATCH', '/api/v1/users/me', { token: stranger.token, body: { email: told, currentPassword: stranger.password }, headers });
  await shop.request('GET', `/api/v1/users/${told}`, { token: stranger.token, headers });
  await shop.request('GET', `/api/v1/products/search?q=${told}`, { headers });
  await shop.request('GET', `/${told}`, { headers });
  await shop.until(() => spansOf('d'.repeat(32)).filter(({ kind }) => kind === 'server').length === 5, 'all requests to end');

  const text = recorder.text();
  t.match(text, 'INSERT account');
  t.match(text, 'POST /api/v1/users');
  const secrets = [told, '@example.com', 'tok_visa', stranger.username, stranger.password, stranger.token, 'a password of mine', 'argon2', ...Object.values(address).filter((value) => value !== 'GB'), product.name];
  for (const secret of secrets) t.notMatch(text, secret, `no ${secret.slice(0, 20)}`);
});

/** One order is one trace across all services: gateway, calls over the wire, events between services, and the mail. */
import t from 'tap';
import { discoverModules, openMailbox, type RecordedSpan, recordSpans } from '#testing';
import { servicesBehindGateway } from './services.testing.ts';

const mailbox = await openMailbox();
t.teardown(async () => mailbox.goDown());
const recorder = await recordSpans(t);
const apart = (await discoverModules()).map(({ contract }) => [contract.name]);
const shop = await servicesBehindGateway(t, { services: apart, tracing: recorder.tracing, settings: { SMTP_URL: mailbox.url } });
const customer = await shop.customer();
const product = await shop.product({ stock: 10 });
const TRACE = 'c1ea7e00'.repeat(4);
const CALLER = 'cafe'.repeat(4);
const address = { name: 'Ada Lovelace', line1: '12 St James Square', city: 'London', postalCode: 'SW1Y 4JH', country: 'GB' };

t.test('one order is one trace', async (t) => {
  const body = { items: [{ productId: product.id, quantity: 1 }], shippingAddress: address, payment: { method: 'card', cardToken: 'tok_visa' } };
  const { status } = await shop.request('POST', '/api/v1/orders', { token: customer.token, body, headers: { traceparent: `00-${TRACE}-${CALLER}-01` } });
  t.equal(status, 201);
  const told = ['process orders.order-placed.v1', 'process payments.payment-completed.v1', 'process orders.order-confirmed.v1'];
  const mails = (found: readonly RecordedSpan[]) => found.filter(({ name }) => name === 'send email');
  const spans = await shop.until(() => {
    const found = recorder.spans().filter(({ traceId }) => traceId === TRACE);
    const ids = new Set(found.map(({ id }) => id));
    // The callee's end of a call is over before the caller's.
    const areComplete = found.filter(({ parentId }) => !ids.has(parentId ?? '')).length === 1;
    return areComplete && told.every((name) => found.some((span) => span.name === name)) && found.some(({ name }) => name === 'shipping.createShipment') && mails(found).length >= 2 && found;
  }, 'the order to be confirmed and told of');

  const byId = new Map(spans.map((span) => [span.id, span]));
  const within = (span: RecordedSpan): string[] => [...(byId.has(span.parentId ?? '') ? within(byId.get(span.parentId!)!) : []), span.name];
  t.same(spans.filter(({ parentId }) => !byId.has(parentId ?? '')).map(({ name, parentId }) => [name, parentId]), [['POST /api/v1/orders', CALLER]], 'one root, in the trace of whoever asked the gateway');
  t.equal(spans.filter(({ name }) => name === 'POST /api/v1/orders').length, 2, 'gateway and orders');
  const charge = spans.filter(({ name }) => name === 'payments.charge');
  t.same(charge.map(({ kind }) => kind).sort(), ['client', 'internal'], 'a call over the wire has two ends');
  const route = 'POST /api/v1/orders > POST /api/v1/orders';
  const delivery = (event: string) => `publish ${event} > deliver ${event} > process ${event}`;
  t.same(mails(spans).map((mail) => within(mail).join(' > ')).toSorted(), [
    `${route} > begin fulfilment > run fulfilment.charge > payments.charge > payments.charge > ${delivery('payments.payment-completed.v1')} > send email`,
    `${route} > ${delivery('orders.order-placed.v1')} > send email`,
  ], 'each mail belongs to the event that it tells of');
  t.same(mailbox.mails.flatMap(({ envelopeTo }) => envelopeTo), Array.from({ length: 2 }, () => `${customer.username}@example.com`));
  t.same(spans.filter(({ failed }) => failed).map(({ name }) => name), []);
});

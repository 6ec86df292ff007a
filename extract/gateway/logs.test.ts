/** All lines of one request, in the logs of whatever services, are found by its trace id. */
import t from 'tap';
import { discoverModules } from '#testing';
import { servicesBehindGateway } from './services.testing.ts';

interface Line {
  readonly service: string;
  readonly module?: string;
  readonly msg: string;
  readonly traceId?: string;
  readonly reqId?: string;
}

const lines: Line[] = [];
const apart = (await discoverModules()).map(({ contract }) => [contract.name]);
const logged = (service: string, line: string): void => void lines.push({ service, ...(JSON.parse(line) as Omit<Line, 'service'>) });
const shop = await servicesBehindGateway(t, { services: apart, logged, settings: { LOG_LEVEL: 'debug' } });
const customer = await shop.customer();
const product = await shop.product({ stock: 10 });
const TRACE = 'c1ea7e01'.repeat(4);
const shippingAddress = { name: 'Ada Lovelace', line1: '12 St James Square', city: 'London', postalCode: 'SW1Y 4JH', country: 'GB' };

const tracedLines = (traceId: string): Line[] => lines.filter((line) => line.traceId === traceId);
const traced = (path: string, traceId: string, body?: unknown) =>
  shop.request(body === undefined ? 'GET' : 'POST', `/api/v1${path}`, { token: customer.token, headers: { traceparent: `00-${traceId}-${'cafe'.repeat(4)}-01`, 'x-request-id': 'my-request' }, ...(body !== undefined && { body }) });

t.test('an order: the gateway, and every service that has a part in it', async (t) => {
  const { status } = await traced('/orders', TRACE, { items: [{ productId: product.id, quantity: 1 }], shippingAddress, payment: { method: 'card', cardToken: 'tok_visa' } });
  t.equal(status, 201);
  const wanted = ['gateway', 'orders', 'catalog', 'inventory', 'payments', 'shipping', 'notifications', 'recommendations', 'users'];
  await shop.until(() => wanted.every((service) => tracedLines(TRACE).some((line) => line.service === service)), 'a line of each service').catch(() => undefined);
  t.same([...new Set(tracedLines(TRACE).map(({ service }) => service))].toSorted(), wanted.toSorted());
  t.same(tracedLines(TRACE).filter(({ reqId }) => reqId !== 'my-request'), [], 'the request id goes with it');
  t.same(tracedLines(TRACE).filter(({ service, module }) => service !== 'gateway' && module !== service), [], 'each line says whose it is');
});

t.test('what is refused, too, and nothing of anybody else', async (t) => {
  const other = 'c1ea7e02'.repeat(4);
  t.equal((await traced('/orders/0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10', other)).status, 404);
  await shop.until(() => tracedLines(other).length >= 2, 'the lines of both');
  t.same(new Set(tracedLines(other).map(({ service }) => service)), new Set(['gateway', 'orders']));
});

/**
 * The same calls to one process and to services behind a gateway are answered the same: status, headers, body. Some hundred of them, made
 * up from the OpenAPI document as the fuzz test makes them up; PARITY_RUNS (calls per route) and PARITY_SEED make it go further or elsewhere.
 */
import fc from 'fast-check';
import t from 'tap';
import { type Reply, type TestShop, testShop } from '#testing';
import { complaintsOfRedocly } from '../../src/check/redocly.testing.ts';
import { Conformity } from '../api/conformity.testing.ts';
import { type Known, type MadeUp, requestTo } from '../api/requests.testing.ts';
import { World } from '../api/world.testing.ts';
import { untilQuiet } from './quiet.testing.ts';
import { Side } from './sameness.testing.ts';
import { servicesBehindGateway } from './services.testing.ts';

const numRuns = Number(process.env['PARITY_RUNS'] ?? 6);
const seed = Number(process.env['PARITY_SEED'] ?? 20_261_129);
const settings = { PAYMENT_ORDER_WAIT_MS: '0', SIGN_IN_ACCOUNT_FAILURES: '10000', SIGN_IN_ADDRESS_FAILURES: '1000000' };
if (process.env['PARITY_RUNS']) t.setTimeout(0);

const NOBODYS = '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10';
const monolith = await testShop(t, { settings });
const services = await servicesBehindGateway(t, { services: [['users'], ['catalog', 'inventory', 'storefront'], ['orders', 'support'], ['payments', 'shipping', 'notifications', 'recommendations']], settings });
const document = (await monolith.request('GET', '/openapi.json')).body;
const { operations } = new Conformity(document);

interface Half {
  readonly shop: TestShop;
  readonly world: World;
  readonly known: Known;
  readonly side: Side;
}

/** The same things in the same order, in each of the two. */
async function half(shop: TestShop): Promise<Half> {
  const world = await World.create(shop);
  const { order, payment, shipment, ticket } = await world.belongings();
  const others = [(await shop.product({ stock: 3 })).id, await world.order(), await world.order('tok_visa'), await world.ticket(), await world.replay()];
  const users = [(await shop.customer()).id, (await shop.customer()).id];
  const lists = ['/products', '/orders', '/tickets'];
  const pages = await Promise.all(lists.map(async (list) => shop.request('GET', `/api/v1${list}?limit=1`, world.as('owner'))));
  const ids = [world.product, order, payment, shipment, ticket, ...others, ...users, NOBODYS];
  const side = new Side();
  side.acquaint([...ids, ...(['stranger', 'owner', 'support', 'admin'] as const).map((caller) => world.user(caller).id)]);
  return { shop, world, known: { ids, cursors: pages.map(({ body }) => body.nextCursor as string) }, side };
}

const one = await half(monolith);
const many = await half(services);

/** The request, about the things of the other shop. */
function translated(request: MadeUp): MadeUp {
  const pairs = [...one.known.ids.map((id, n) => [id, many.known.ids[n]!] as const), ...one.known.cursors.map((cursor, n) => [cursor, many.known.cursors[n]!] as const)];
  const change = (text: string) => pairs.reduce((all, [from, to]) => all.replaceAll(from, to).replaceAll(from.toUpperCase(), to.toUpperCase()), text);
  return { ...request, url: change(request.url), body: request.body === undefined ? undefined : change(request.body) };
}

async function send({ shop, world }: Half, { caller, method, url, headers, body }: MadeUp): Promise<Reply> {
  return shop.request(method, url, { ...world.as(caller), headers, ...(body !== undefined && { body }) });
}

async function bothTold(request: MadeUp): Promise<[unknown, unknown]> {
  const other = translated(request);
  const [reply, otherReply] = [await send(one, request), await send(many, other)];
  // What follows is over, and the next answer does not depend on how fast it was.
  if (request.method !== 'GET' && reply.status < 300) for (const { shop } of [one, many]) await untilQuiet(shop);
  return [one.side.told(reply), many.side.told(otherReply)];
}

t.test('one document tells of all services, and it is that of one process', async (t) => {
  const merged = (await services.request('GET', '/openapi.json')).body;
  t.strictSame(merged, document);
  t.same(Object.keys(merged.paths), Object.keys(document.paths), 'in the same order');
  t.same(await complaintsOfRedocly(t, merged), []);
  t.strictSame((await services.request('GET', '/docs/json')).body, document, 'the pages show the same');
});

for (const operation of operations.filter(({ path }) => path !== '/metrics')) {
  await t.test(`${operation.name} is answered the same`, async (t) => {
    for (const request of fc.sample(requestTo(operation, one.known), { numRuns, seed })) {
      const [told, toldByServices] = await bothTold(request);
      t.strictSame(toldByServices, told, `${request.caller}: ${request.method} ${request.url.slice(0, 200)}`, { request });
    }
  });
}

t.test('what no route takes is refused the same', async (t) => {
  const paths = ['/', '/api/v1', '/api/v1/nothing', '/api/v1/orders/', '/api/v1/orders/x/y/z', '/api/v1/orderss', '/users', '/api/v1/%6Frders', '/api/v1/orders%2f', '/api/v1/orders/%zz', '/api/v1/admin', '/docs/nothing', '/.well-known/jwks.json/x', '/openapi.json?x'];
  const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'];
  for (const path of paths) {
    for (const method of methods) {
      const request: MadeUp = { caller: 'owner', method, url: path, headers: {}, body: undefined };
      const [told, toldByServices] = await bothTold(request);
      t.strictSame(toldByServices, told, `${method} ${path}`);
    }
  }
});

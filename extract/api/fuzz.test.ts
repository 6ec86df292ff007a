/**
 * Whatever comes to a route of the shop, it answers as the OpenAPI document says, and never with a failure of its own. Knows the
 * shop by that document alone. FUZZ_RUNS (requests per route) and FUZZ_SEED make it go further or elsewhere.
 */
import fc from 'fast-check';
import t from 'tap';
import { type Reply, testShop } from '#testing';
import { Conformity, type Operation } from './conformity.testing.ts';
import { type Known, type MadeUp, requestTo } from './requests.testing.ts';
import { API, World } from './world.testing.ts';

const numRuns = Number(process.env['FUZZ_RUNS'] ?? 50);
const seed = Number(process.env['FUZZ_SEED'] ?? 20_261_123);

/** Nobody waits for orders that do not exist, and nobody is turned away for failing to sign in. */
const settings = { PAYMENT_ORDER_WAIT_MS: '0', EVENT_POLL_MS: '50', SIGN_IN_ACCOUNT_FAILURES: '10000', SIGN_IN_ADDRESS_FAILURES: '1000000' };
if (process.env['FUZZ_RUNS']) t.setTimeout(0);
const shop = await testShop(t, { settings });
const conformity = new Conformity((await shop.request('GET', '/openapi.json')).body);
const world = await World.create(shop);
const known = await acquaint();

/** A thing or two of every kind, and a cursor of every list. */
async function acquaint(): Promise<Known> {
  const { order, payment, shipment, ticket } = await world.belongings();
  const others = [(await shop.product({ stock: 3 })).id, await world.order(), await world.order('tok_visa'), await world.ticket(), await world.replay()];
  // None of the callers: who is given another role is signed out.
  const users = [(await shop.customer()).id, (await shop.customer()).id];
  const paged = conformity.operations.filter(({ method, parameters }) => method === 'GET' && parameters.some(({ name }) => name === 'cursor'));
  const needed = ({ parameters }: Operation) => parameters.filter(({ in: place, required }) => place === 'query' && required === true);
  const query = (operation: Operation) => needed(operation).map(({ name }) => `&${name}=${name.endsWith('Id') ? order : 'product'}`).join('');
  const pages = await Promise.all(paged.map((operation) => shop.request('GET', `${operation.path}?limit=1${query(operation)}`, world.as('owner'))));
  const cursors = pages.map(({ body }) => body.nextCursor as string | null | undefined).filter((cursor) => cursor != null);
  return { ids: [world.product, order, payment, shipment, ticket, ...others, ...users, '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10'], cursors };
}

async function send({ caller, method, url, headers, body }: MadeUp): Promise<Reply> {
  return shop.request(method, url, { ...world.as(caller), headers, ...(body !== undefined && { body }) });
}

function complaintsAbout(operation: Operation, request: MadeUp, reply: Reply): string[] {
  const failed = reply.status >= 500 ? [`it failed with ${reply.status}`] : [];
  return [...failed, ...conformity.complaints(operation, request.url, reply)];
}

/** Routes that carried something out for somebody. */
const obliged = new Set<string>();

for (const operation of conformity.operations) {
  await t.test(`${operation.name}, whatever comes`, async (t) => {
    const property = fc.asyncProperty(requestTo(operation, known), async (request) => {
      const reply = await send(request);
      if (reply.status < 400) obliged.add(operation.name);
      const complaints = complaintsAbout(operation, request, reply);
      if (complaints.length > 0) throw new Error(`${complaints.join('; ')}\n${JSON.stringify(reply.body).slice(0, 500)}`);
    });
    const { failed, counterexample, errorInstance } = await fc.check(property, { numRuns, seed, interruptAfterTimeLimit: 30_000 });
    t.notOk(failed, 'answers as declared', { counterexample, error: String(errorInstance) });
  });
}

t.test('what came was not all nonsense', async (t) => {
  t.ok(obliged.size > 0.7 * conformity.operations.length, `${obliged.size} of ${conformity.operations.length} routes obliged`);
});

t.test('the shop is as well as before', async (t) => {
  t.match(await shop.request('GET', '/health'), { status: 200, body: { status: 'healthy' } });
  t.match(await shop.request('GET', '/ready'), { status: 200 });
  t.equal((await shop.request('GET', `${API}/products`)).status, 200);
});

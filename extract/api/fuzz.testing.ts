/**
 * Whatever comes to a route of the shop, it answers as the OpenAPI document says, never with a failure of its own, and tells nothing
 * of its inside. Knows the shop by that document alone.
 */
import fc from 'fast-check';
import type { TestShop } from '#testing';
import { type Finding, holds, type Result } from '../torture/result.testing.ts';
import { Conformity, type Operation } from './conformity.testing.ts';
import { type Known, type MadeUp, requestTo } from './requests.testing.ts';
import { API, World } from './world.testing.ts';

export interface FuzzOptions {
  /** Requests to each route. */
  readonly cases: number;
  readonly seed: number;
  progress(line: string): void;
}

/** Nobody waits for orders that do not exist, and nobody is turned away for failing to sign in. */
export const fuzzSettings = { PAYMENT_ORDER_WAIT_MS: '0', SIGN_IN_ACCOUNT_FAILURES: '10000', SIGN_IN_ADDRESS_FAILURES: '1000000' };
/** A route that hangs takes the run along no longer than this, and fails it. */
const LONGEST_MS_PER_CASE = 600;
/** Characters of what is wrong: a request may be large. */
const MOST_SHOWN = 600;
/** So many requests meet, among all that is wrong, one that is right. */
const MANY = 1_000;
/** With fewer requests, so many of the routes must carry something out for somebody, or what is sent is nonsense. */
const LEAST_OBLIGED = 0.7;
/** A password cannot be made up. */
const NEVER = 'POST /api/v1/users/authenticate';
/** What takes things away comes last: whoever needs them would be refused from then on. */
const TURNS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];

export async function fuzz(shop: TestShop, { cases, seed, progress }: FuzzOptions): Promise<Result> {
  const conformity = new Conformity((await shop.request('GET', '/openapi.json')).body);
  const { operations } = conformity;
  const asking: Asking = { shop, conformity, world: await World.create(shop), obliged: new Set() };
  const findings: Finding[] = [];
  let known: Known | undefined;
  for (const operation of operations.toSorted((a, b) => TURNS.indexOf(a.method) - TURNS.indexOf(b.method))) {
    // What many requests to one route have used up or ended is there anew for the next one.
    if (!known || (cases >= MANY && operation.method !== 'GET')) known = await acquaint(asking);
    const startedAt = performance.now();
    findings.push(await routeFinding(operation.name, requestTo(operation, known), async (request) => complaintsAbout(operation, request, asking), { cases, seed, limitMs: cases * LONGEST_MS_PER_CASE }));
    progress(`${operation.name}, ${((performance.now() - startedAt) / 1_000).toFixed(1)} s`);
  }
  const idle = operations.filter(({ name }) => !asking.obliged.has(name) && name !== NEVER).map(({ name }) => name);
  const { size } = asking.obliged;
  const isSense = cases >= MANY ? idle.length === 0 : size > LEAST_OBLIGED * operations.length;
  const nonsense = holds('what came was not all nonsense', isSense, `nothing was carried out by ${idle.join(', ')}`);
  return { findings: [...findings, nonsense, await wellFinding(shop)], figures: [`${cases} requests to each of ${operations.length} routes, of which ${size} carried something out`] };
}

/** What became of the requests to one route. Fewer of them than were asked for are a violation, too: a run that was broken off shows nothing. */
export async function routeFinding(name: string, requests: fc.Arbitrary<MadeUp>, complaints: (request: MadeUp) => Promise<string[]>, { cases, seed, limitMs }: { cases: number; seed: number; limitMs: number }): Promise<Finding> {
  const property = fc.asyncProperty(requests, async (request) => {
    const found = await complaints(request);
    if (found.length > 0) throw new Error(found.join('; '));
  });
  const { failed, counterexample, errorInstance, numRuns } = await fc.check(property, { numRuns: cases, seed, interruptAfterTimeLimit: limitMs });
  const wrong = errorInstance ? [`${(errorInstance as Error).message} to ${JSON.stringify(counterexample?.[0]).slice(0, MOST_SHOWN)}`] : [];
  const few = !errorInstance && (failed || numRuns < cases) ? [`only ${numRuns} of ${cases} requests were answered within ${limitMs / 1_000} s`] : [];
  return { claim: `${name} answers as declared, whatever comes`, violations: [...wrong, ...few] };
}

interface Asking {
  readonly shop: TestShop;
  readonly conformity: Conformity;
  readonly world: World;
  /** Routes that carried something out. */
  readonly obliged: Set<string>;
}

async function complaintsAbout(operation: Operation, { caller, method, url, headers, body }: MadeUp, { shop, conformity, world, obliged }: Asking): Promise<string[]> {
  conformity.said.add(url, body, ...Object.values(headers));
  const reply = await shop.request(method, url, { ...world.as(caller), headers, ...(body !== undefined && { body }) });
  if (reply.status < 400) obliged.add(operation.name);
  const failed = reply.status >= 500 ? [`it failed with ${reply.status}`] : [];
  const complaints = [...failed, ...conformity.complaints(operation, url, reply)];
  return complaints.length > 0 ? [...complaints, JSON.stringify(reply.body).slice(0, MOST_SHOWN)] : [];
}

/** A thing or two of every kind, and a cursor of every list. */
async function acquaint({ shop, conformity, world }: Asking): Promise<Known> {
  const { order, payment, shipment, ticket } = await world.belongings();
  const others = [(await shop.product({ stock: 3 })).id, await world.order(), await world.order('tok_visa'), await world.ticket(), await world.replay(), await world.dispatched()];
  // None of the callers: who is given another role is signed out.
  const users = [(await shop.customer()).id, (await shop.customer()).id];
  const paged = conformity.operations.filter(({ method, parameters }) => method === 'GET' && parameters.some(({ name }) => name === 'cursor'));
  const needed = ({ parameters }: Operation) => parameters.filter(({ in: place, required }) => place === 'query' && required === true);
  const query = (operation: Operation) => needed(operation).map(({ name }) => `&${name}=${name.endsWith('Id') ? order : 'product'}`).join('');
  const pages = await Promise.all(paged.map((operation) => shop.request('GET', `${operation.path}?limit=1${query(operation)}`, world.as('owner'))));
  const cursors = pages.map(({ body }) => body.nextCursor as string | null | undefined).filter((cursor) => cursor != null);
  return { ids: [world.product, order, payment, shipment, ticket, ...others, ...users, '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10'], cursors };
}

async function wellFinding(shop: TestShop): Promise<Finding> {
  const statuses = await Promise.all(['/health', '/ready', `${API}/products`].map(async (path) => (await shop.request('GET', path)).status));
  return holds('the shop is as well as before', statuses.every((status) => status === 200), `it answered ${statuses.join(', ')}`);
}

/** What customers of a shop that runs as it should ask of it, as requests that a load generator sends. */
import type { Request } from 'autocannon';
import { API } from './api.testing.ts';
import type { Random } from './random.testing.ts';
import { PASSWORD, type Person, type Stage } from './stage.testing.ts';

type Ask = (random: Random, stage: Stage) => Request;

const shippingAddress = { name: 'Katherine Johnson', line1: '100 Orbit Drive', city: 'Hampton', postalCode: '23666', country: 'US' };
const JSON_BODY = { 'content-type': 'application/json' };
const MANY = 2 ** 32;

/** Of 200 requests, 166 look at something, 30 buy, 2 sign in and 2 ask for help. More buy than people do: orders are what leaves something behind. */
const asks: readonly Ask[] = [
  ...times(56, (random, { products }) => read(`/products/${random.oneOf(products)}`)),
  ...times(30, () => read('/products?limit=20')),
  ...times(10, () => read('/products/search?q=product&limit=10')),
  ...times(10, (random, { products }) => read(`/inventory/${random.oneOf(products)}`)),
  ...times(10, (random, { products }) => read(`/recommendations/${random.oneOf(products)}`)),
  ...times(10, (random, { products }) => read(`/product-pages/${random.oneOf(products)}`)),
  ...times(10, (random, { customers }) => read('/orders?limit=10', random.oneOf(customers))),
  ...times(10, (random, { customers }) => read('/shipments?limit=10', random.oneOf(customers))),
  ...times(10, (random, { customers }) => read('/notifications?limit=10', random.oneOf(customers))),
  ...times(10, (random, { customers }) => read('/users/me', random.oneOf(customers))),
  ...times(30, (random, stage) => order(random, stage)),
  ...times(2, (random, { customers }) => signIn(random.oneOf(customers))),
  ...times(2, (random, { customers }) => ticket(random.oneOf(customers))),
];

/** Orders are new ones each, under keys of their own, and paid at once: nothing waits for somebody who does not come. */
export function traffic(random: Random, stage: Stage, count: number): Request[] {
  return Array.from({ length: count }, () => random.oneOf(asks)(random, stage));
}

function times(count: number, ask: Ask): Ask[] {
  return Array.from({ length: count }, () => ask);
}

function read(path: string, by?: Person): Request {
  return { method: 'GET', path: `${API}${path}`, ...(by && { headers: { authorization: `Bearer ${by.token}` } }) };
}

function signIn({ username }: Person): Request {
  return { method: 'POST', path: `${API}/users/authenticate`, headers: JSON_BODY, body: JSON.stringify({ username, password: PASSWORD }) };
}

function ticket({ token }: Person): Request {
  return { method: 'POST', path: `${API}/tickets`, headers: { ...JSON_BODY, authorization: `Bearer ${token}` }, body: JSON.stringify({ subject: 'The handle', body: 'It came off.' }) };
}

function order(random: Random, { customers, products }: Stage): Request {
  const chosen = [...new Set([random.oneOf(products), random.oneOf(products)])];
  const body = { items: chosen.map((productId) => ({ productId, quantity: 1 })), shippingAddress, payment: { method: 'card', cardToken: 'tok_visa' } };
  const headers = { ...JSON_BODY, authorization: `Bearer ${random.oneOf(customers).token}`, 'idempotency-key': `soak-${random.between(0, MANY)}-${random.between(0, MANY)}` };
  return { method: 'POST', path: `${API}/orders`, headers, body: JSON.stringify(body) };
}

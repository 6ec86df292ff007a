/** What customers of a shop that runs as it should ask of it, as requests that a load generator sends. */
import type { Request } from 'autocannon';
import { API } from './api.testing.ts';
import type { Random } from './random.testing.ts';
import type { Person, Stage } from './stage.testing.ts';

type Ask = (random: Random, stage: Stage) => Request;

const shippingAddress = { name: 'Katherine Johnson', line1: '100 Orbit Drive', city: 'Hampton', postalCode: '23666', country: 'US' };
const MANY = 2 ** 32;

/** Of 20 requests, 17 look at something and 3 buy, which is more than people do: orders are what leaves something behind. */
const asks: readonly Ask[] = [
  ...times(6, (random, { products }) => read(`/products/${random.oneOf(products)}`)),
  ...times(3, () => read('/products?limit=20')),
  ...times(1, () => read('/products/search?q=product&limit=10')),
  ...times(1, (random, { products }) => read(`/inventory/${random.oneOf(products)}`)),
  ...times(1, (random, { products }) => read(`/recommendations/${random.oneOf(products)}`)),
  ...times(1, (random, { products }) => read(`/product-pages/${random.oneOf(products)}`)),
  ...times(1, (random, { customers }) => read('/orders?limit=10', random.oneOf(customers))),
  ...times(1, (random, { customers }) => read('/shipments?limit=10', random.oneOf(customers))),
  ...times(1, (random, { customers }) => read('/notifications?limit=10', random.oneOf(customers))),
  ...times(1, (random, { customers }) => read('/users/me', random.oneOf(customers))),
  ...times(3, (random, stage) => order(random, stage)),
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

function order(random: Random, { customers, products }: Stage): Request {
  const chosen = [...new Set([random.oneOf(products), random.oneOf(products)])];
  const body = { items: chosen.map((productId) => ({ productId, quantity: 1 })), shippingAddress, payment: { method: 'card', cardToken: 'tok_visa' } };
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${random.oneOf(customers).token}`, 'idempotency-key': `soak-${random.between(0, MANY)}-${random.between(0, MANY)}` };
  return { method: 'POST', path: `${API}/orders`, headers, body: JSON.stringify(body) };
}

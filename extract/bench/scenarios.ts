/** What is asked of both sides, and how fast the shop must be beside the yardstick. */
import { CONNECTIONS, type Requests } from './load.ts';
import type { Stage } from './shop.ts';

export interface Scenario {
  readonly part: 'product' | 'list' | 'orders';
  readonly title: string;
  /** Least part of the yardstick's answers a second. */
  readonly floor: number;
  /** Leaves work behind that a round must wait for. */
  readonly leavesWork: boolean;
  requests(stage: Stage): Requests;
}

/** Each connection goes through its own list, so that no two keep asking the same at the same time. */
const DIFFERENT = 200;

const shippingAddress = { name: 'Ada Lovelace', line1: '12 Analytical Row', city: 'London', postalCode: 'W1 2AB', country: 'GB' };

export const scenarios: readonly Scenario[] = [
  {
    part: 'product',
    title: 'GET /products/{id}',
    floor: 0.95,
    leavesWork: false,
    requests: ({ productIds }) => ofEachConnection(() => ({ method: 'GET', path: `/api/v1/products/${oneOf(productIds)}` })),
  },
  {
    part: 'list',
    title: 'GET /products?limit=20',
    floor: 0.9,
    leavesWork: false,
    requests: () => ofEachConnection(() => ({ method: 'GET', path: '/api/v1/products?limit=20' })),
  },
  {
    part: 'orders',
    title: 'POST /orders',
    floor: 0.85,
    leavesWork: true,
    requests: ({ productIds, tokens }) =>
      ofEachConnection(() => ({
        method: 'POST',
        path: '/api/v1/orders',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${oneOf(tokens)}` },
        body: JSON.stringify({ items: twoOf(productIds).map((productId) => ({ productId, quantity: 1 })), shippingAddress }),
      })),
  },
];

function ofEachConnection(request: () => Requests[number][number]): Requests {
  return Array.from({ length: CONNECTIONS }, () => Array.from({ length: DIFFERENT }, request));
}

function oneOf(values: readonly string[]): string {
  return values[Math.floor(Math.random() * values.length)]!;
}

function twoOf(values: readonly string[]): [string, string] {
  const first = oneOf(values);
  let second = first;
  while (second === first) second = oneOf(values);
  return [first, second];
}

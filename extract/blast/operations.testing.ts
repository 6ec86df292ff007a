/** Every public operation, as a request that succeeds while all is well, and what shows that all that follows from it has happened. */
import { randomBytes } from 'node:crypto';
import { API, type Answer, type Question } from '../torture/api.testing.ts';
import type { Credentials, Stage as TradeStage } from '../torture/stage.testing.ts';

export interface Stage extends TradeStage {
  /** Of one of the customers. */
  readonly credentials: Credentials;
  /** A product that nobody buys. */
  readonly shelf: string;
}

/** Things in a state that the operation which they are for takes them out of, each good for one request. */
export interface Supplies {
  readonly waiting: Thing[];
  readonly toCancel: Thing[];
  readonly toRefund: Thing[];
  readonly toDispatch: Thing[];
  readonly toDeliver: Thing[];
  readonly toClose: string[];
  readonly toDelete: string[];
  /** A paid order with all that belongs to it, and a ticket: for whoever only looks, or adds. */
  readonly kept: Thing;
  readonly ticket: string;
}

export interface Thing {
  readonly order: string;
  readonly payment: string;
  readonly shipment: string;
}

export interface Operation {
  /** As plans name it. */
  readonly route: string;
  /** Undefined when what it is for has run out. */
  ask(stage: Stage, supplies: Supplies): Asked | undefined;
  /** Each request needs a thing of its own. */
  readonly usesUp?: true;
  /** Whether an answer that succeeded lacks something that it has while all is well. */
  isDegraded?(answer: Answer): boolean;
}

export interface Asked {
  readonly question: Question;
  /** What follows from it, though answered already, mentions this: the id of an order or what belongs to one. */
  about?(answer: Answer): readonly string[];
  /** As `about`, where only events of the thing itself count. */
  ofItself?(answer: Answer): readonly string[];
}

const PRICE = { amount: 900, currency: 'USD' };
const CENT = { amount: 1, currency: 'USD' };
export const shippingAddress = { name: 'Dorothy Vaughan', line1: '7 West Area', city: 'Hampton', postalCode: '23669', country: 'US' };
const some = <T>(things: readonly T[]): T => things[Math.floor(Math.random() * things.length)]!;
const unique = (): string => `b${randomBytes(6).toString('hex')}`;
const made = ({ body }: Answer): readonly string[] => [body.id as string];

type Requests = (stage: Stage, supplies: Supplies) => Asked | undefined;

const get = (route: string, path: (stage: Stage, supplies: Supplies) => string, isDegraded?: Operation['isDegraded']): Operation => ({
  route: `GET ${API}${route}`,
  ask: (stage, supplies) => ({ question: { method: 'GET', path: path(stage, supplies), token: some(stage.customers).token } }),
  ...(isDegraded && { isDegraded }),
});
const getAs = (route: string, path: (stage: Stage, supplies: Supplies) => string): Operation => ({
  route: `GET ${API}${route}`,
  ask: (stage, supplies) => ({ question: { method: 'GET', path: path(stage, supplies), token: stage.admin.token } }),
});
const change = (route: string, ask: Requests): Operation => {
  const [method, path] = route.split(' ') as [string, string];
  return { route: `${method} ${API}${path}`, ask };
};

/** A request for each thing of a kind, until they are used up. */
function useUp<T>(route: string, of: (supplies: Supplies) => T[], ask: (thing: T, stage: Stage) => Asked): Operation {
  const once: Requests = (stage, supplies) => {
    const thing = of(supplies).pop();
    return thing === undefined ? undefined : ask(thing, stage);
  };
  return { ...change(route, once), usesUp: true };
}

const owner = ({ customers }: Stage): string => customers[0]!.token;
const admin = ({ admin: { token } }: Stage): string => token;
const post = (path: string, token: string | undefined, body?: unknown): Question => ({ method: 'POST', path, token, ...(body !== undefined && { body }) });

export const operations: readonly Operation[] = [
  change('POST /users', () => ({ question: post('/users', undefined, { username: unique(), email: `${unique()}@example.com`, password: 'a long enough password' }), about: made })),
  change('POST /users/authenticate', ({ credentials }) => ({ question: post('/users/authenticate', undefined, credentials) })),
  get('/users/me', () => '/users/me'),
  change('PATCH /users/me', (stage) => ({ question: { method: 'PATCH', path: '/users/me', token: some(stage.customers).token, body: { phone: null } } })),
  getAs('/users/:id', ({ customers }) => `/users/${some(customers).id}`),
  change('PATCH /users/:id', (stage) => ({ question: { method: 'PATCH', path: `/users/${some(stage.customers).id}`, token: admin(stage), body: { role: 'customer' } } })),

  get('/products', () => '/products?limit=20'),
  get('/products/search', () => '/products/search?q=product'),
  get('/products/:id', ({ products }) => `/products/${some(products)}`),
  change('POST /products', (stage) => ({ question: post('/products', admin(stage), { name: 'A lamp', description: 'It shines', price: PRICE }), ofItself: made })),
  change('PATCH /products/:id', (stage) => {
    const id = some(stage.products);
    return { question: { method: 'PATCH', path: `/products/${id}`, token: admin(stage), body: { description: unique() } }, ofItself: () => [id] };
  }),
  useUp('DELETE /products/:id', ({ toDelete }) => toDelete, (id, stage) => ({ question: { method: 'DELETE', path: `/products/${id}`, token: admin(stage) }, ofItself: () => [id] })),
  get('/categories', () => '/categories'),
  change('POST /categories', (stage) => ({ question: post('/categories', admin(stage), { name: unique() }) })),

  get('/inventory/:productId', ({ products }) => `/inventory/${some(products)}`, ({ body }) => body.status === 'unknown'),
  change('PUT /inventory/:productId', (stage) => ({ question: { method: 'PUT', path: `/inventory/${stage.shelf}`, token: admin(stage), body: { onHand: 1_000_000 } } })),
  change('POST /inventory/:productId/adjustments', (stage) => ({ question: post(`/inventory/${stage.shelf}/adjustments`, admin(stage), { delta: 1, reason: 'found one' }) })),

  change('POST /orders', (stage) => ({
    question: { ...post('/orders', owner(stage), { items: [{ productId: some(stage.products), quantity: 1 }], shippingAddress, payment: { method: 'card', cardToken: 'tok_visa' } }), key: unique() },
    about: made,
  })),
  get('/orders', () => '/orders?limit=5'),
  getAs('/orders/:id', (_, { kept: { order } }) => `/orders/${order}`),
  getAs('/orders/:id/history', (_, { kept: { order } }) => `/orders/${order}/history`),
  useUp('POST /orders/:id/cancel', ({ toCancel }) => toCancel, ({ order }, stage) => ({ question: post(`/orders/${order}/cancel`, owner(stage)), about: () => [order] })),

  useUp('POST /payments', ({ waiting }) => waiting, ({ order }, stage) => ({ question: { ...post('/payments', owner(stage), { orderId: order, method: 'card', cardToken: 'tok_visa' }), key: unique() }, about: () => [order] })),
  getAs('/payments', (_, { kept: { order } }) => `/payments?orderId=${order}`),
  getAs('/payments/:id', (_, { kept: { payment } }) => `/payments/${payment}`),
  useUp('POST /payments/:id/refund', ({ toRefund }) => toRefund, ({ order, payment }, stage) => ({ question: { ...post(`/payments/${payment}/refund`, admin(stage), { amount: CENT, reason: 'scratched' }), key: unique() }, about: () => [order] })),

  getAs('/shipments', (_, { kept: { order } }) => `/shipments?orderId=${order}`),
  getAs('/shipments/:id', (_, { kept: { shipment } }) => `/shipments/${shipment}`),
  useUp('POST /shipments/:id/dispatch', ({ toDispatch }) => toDispatch, ({ order, shipment }, stage) => ({ question: post(`/shipments/${shipment}/dispatch`, admin(stage)), about: () => [order] })),
  useUp('POST /shipments/:id/deliver', ({ toDeliver }) => toDeliver, ({ order, shipment }, stage) => ({ question: post(`/shipments/${shipment}/deliver`, admin(stage)), about: () => [order] })),

  get('/notifications', () => '/notifications?limit=5'),
  get('/recommendations/:productId', ({ products }) => `/recommendations/${some(products)}`),
  change('POST /admin/recommendations/rebuild', (stage) => ({ question: post('/admin/recommendations/rebuild', admin(stage)) })),
  getAs('/admin/recommendations/rebuild', () => '/admin/recommendations/rebuild'),

  change('POST /tickets', (stage, { kept: { order } }) => ({ question: post('/tickets', owner(stage), { subject: 'Where is it?', body: 'I am waiting.', orderId: order }), about: made })),
  get('/tickets', () => '/tickets?limit=5'),
  getAs('/tickets/:id', (_, { ticket }) => `/tickets/${ticket}`),
  change('POST /tickets/:id/messages', (stage, { ticket }) => ({ question: post(`/tickets/${ticket}/messages`, admin(stage), { body: 'We are looking into it.' }), about: () => [ticket] })),
  useUp('POST /tickets/:id/close', ({ toClose }) => toClose, (id, stage) => ({ question: post(`/tickets/${id}/close`, owner(stage)), about: () => [id] })),

  get('/product-pages/:productId', ({ products }) => `/product-pages/${some(products)}`, ({ body }) => body.degraded.length > 0),
  { route: 'GET /.well-known/jwks.json', ask: () => ({ question: { method: 'GET', path: '/../../.well-known/jwks.json' } }) },
];

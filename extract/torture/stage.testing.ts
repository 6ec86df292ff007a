/** What a shop needs before anybody can trade in it: customers, an administrator, products with stock. */
import { randomBytes } from 'node:crypto';
import type { Api } from './api.testing.ts';

export interface Person {
  readonly id: string;
  readonly username: string;
  readonly token: string;
}

/** A subscriber and the types of events that it handles. */
export interface Subscription {
  readonly subscriber: string;
  readonly types: readonly string[];
}

export interface Stage {
  readonly customers: readonly Person[];
  readonly admin: Person;
  readonly products: readonly string[];
  /** Pieces of each product that were put on the shelf. */
  readonly stock: number;
  /** Of all modules, as they themselves say: what is in an inbox proves nothing of one that never got an event. */
  readonly subscriptions: readonly Subscription[];
}

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

export const PASSWORD = 'a long enough password';
/** More than can be sold. */
const STOCK = 1_000_000;
const PRICE = 1_250;

export async function setStage(api: Api, admin: Credentials, { customers = 4, products = 3 } = {}): Promise<Stage> {
  const administrator = await signIn(api, admin);
  return {
    admin: administrator,
    customers: await inTurn(customers, async () => register(api)),
    products: await inTurn(products, async () => stockedProduct(api, administrator.token)),
    stock: STOCK,
    subscriptions: (await api.mustDo({ method: 'GET', path: '/admin/events/subscribers', token: administrator.token })).subscribers,
  };
}

export async function register(api: Api, name = `c_${randomBytes(5).toString('hex')}`): Promise<Person> {
  await api.mustDo({ method: 'POST', path: '/users', body: { username: name, email: `${name}@example.com`, password: PASSWORD } });
  return signIn(api, { username: name, password: PASSWORD });
}

async function signIn(api: Api, credentials: Credentials): Promise<Person> {
  const { username } = credentials;
  const { token } = await api.mustDo({ method: 'POST', path: '/users/authenticate', body: credentials });
  const { id } = await api.mustDo({ method: 'GET', path: '/users/me', token });
  return { id, username, token };
}

async function stockedProduct(api: Api, token: string): Promise<string> {
  const body = { name: `Product ${randomBytes(4).toString('hex')}`, description: 'To be fought over', price: { amount: PRICE, currency: 'USD' } };
  const { id } = await api.mustDo({ method: 'POST', path: '/products', token, body });
  await api.mustDo({ method: 'PUT', path: `/inventory/${id}`, token, body: { onHand: STOCK } });
  return id;
}

async function inTurn<T>(times: number, work: () => Promise<T>): Promise<T[]> {
  const made: T[] = [];
  while (made.length < times) made.push(await work());
  return made;
}

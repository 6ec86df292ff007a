/** The shop's public HTTP API as the demo uses it. Nothing here knows how the shop is deployed. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Credentials } from './admin.ts';

export interface Money {
  readonly amount: number;
  readonly currency: string;
}

export interface Product {
  readonly id: string;
  readonly name: string;
  readonly price: Money;
}

export interface Order {
  readonly id: string;
  readonly status: string;
  readonly statusReason: string | null;
  readonly total: Money;
}

export interface Payment {
  readonly id: string;
  readonly status: string;
  readonly amount: Money;
}

export interface Notification {
  readonly channel: 'email' | 'sms';
  readonly subject: string;
  readonly body: string;
  readonly status: string;
  readonly createdAt: string;
}

export interface HistoryEntry {
  readonly at: string;
  readonly event: string;
  readonly detail: string | null;
}

export interface Ticket {
  readonly id: string;
  readonly orderId: string | null;
  readonly status: string;
  readonly messages: readonly { readonly authorRole: string; readonly body: string }[];
}

export interface ProductPage {
  readonly product: Product;
  readonly inventory: { readonly available?: number };
  readonly recommendations: readonly { readonly name: string }[];
  readonly viewer?: { readonly username: string };
  readonly degraded: readonly string[];
}

/** A counting of all orders, for recommendations. */
export interface Counting {
  readonly id: string;
  readonly status: string;
  readonly ordersRead: number;
}

export interface List<Item> {
  readonly items: readonly Item[];
}

export interface Ask {
  readonly token?: string;
  readonly body?: unknown;
  /** Sent so that a repetition after a lost answer cannot order or pay twice. */
  readonly idempotencyKey?: string;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** The shop can't be reached at all: nothing was tried. */
export class ShopNotThere extends Error {
  override readonly name = 'ShopNotThere';
}

/** A step that does not do what it says. */
export class StepFailed extends Error {
  override readonly name = 'StepFailed';
}

/** @throws StepFailed with the sentence when it is not so */
export function mustHold(condition: boolean, sentence: string): asserts condition {
  if (!condition) throw new StepFailed(sentence);
}

const REQUEST_MS = 15_000;
const POLL_MS = 50;

export class ShopApi {
  readonly #base: string;
  /** Milliseconds that the demo waits for what the shop does on its own. */
  readonly #patienceMs: number;

  constructor(baseUrl: string, patienceMs: number) {
    this.#base = baseUrl.replace(/\/+$/, '');
    this.#patienceMs = patienceMs;
  }

  /** A 200 answer's body. */
  async get<Body>(path: string, token?: string): Promise<Body> {
    return this.ask<Body>(200, 'GET', path, token === undefined ? {} : { token });
  }

  /** An answer's body; anything but the expected status ends the demo. */
  async ask<Body>(expected: number, method: string, path: string, ask: Ask = {}): Promise<Body> {
    const { status, text } = await this.send(method, `/api/v1${path}`, ask);
    if (status !== expected) throw new StepFailed(`${method} ${path} answered ${status} where ${expected} was expected: ${problemIn(text)}`);
    return (text === '' ? undefined : JSON.parse(text)) as Body;
  }

  /** An answer of any status. */
  async send(method: string, path: string, { token, body, idempotencyKey }: Ask = {}): Promise<Answer> {
    const headers: Record<string, string> = { accept: 'application/json' };
    if (token !== undefined) headers.authorization = `Bearer ${token}`;
    if (body !== undefined) headers['content-type'] = 'application/json';
    if (idempotencyKey !== undefined) headers['idempotency-key'] = idempotencyKey;
    try {
      const response = await fetch(this.#base + path, { method, headers, body: JSON.stringify(body), signal: AbortSignal.timeout(REQUEST_MS) });
      return { status: response.status, text: await response.text() };
    } catch (error) {
      throw new ShopNotThere(`no shop answers at ${this.#base} (${reasonOf(error)})`, { cause: error });
    }
  }

  /** A token. */
  async signIn({ username, password }: Credentials): Promise<string> {
    const { token } = await this.ask<{ token: string }>(200, 'POST', '/users/authenticate', { body: { username, password } });
    return token;
  }

  /** An order of so many of each of the products. */
  placeOrder(token: string, productIds: readonly string[], quantity: number, cardToken: string, idempotencyKey: string = randomUUID()): Promise<Order> {
    const shippingAddress = { name: 'Ada Demo', line1: '1 Analytical Way', city: 'London', postalCode: 'N1 9GU', country: 'GB' };
    const body = { items: productIds.map((productId) => ({ productId, quantity })), shippingAddress, payment: { method: 'card', cardToken } };
    return this.ask<Order>(201, 'POST', '/orders', { token, body, idempotencyKey });
  }

  /** Follows an order until it has the status; an order that ends elsewhere ends the wait at once. */
  async follow(token: string, orderId: string, status: string): Promise<Order> {
    const order = await this.until(
      () => this.get<Order>(`/orders/${orderId}`, token),
      (seen) => seen.status === status || hasEnded(seen.status),
      (seen) => `order ${orderId} to be ${status}; it is ${stateOf(seen)}`,
    );
    mustHold(order.status === status, `order ${orderId} ended as ${stateOf(order)} where ${status} was expected`);
    return order;
  }

  /** Reads until the value fits. @param waitedFor finishes "waited 30 s for …" and says what was there instead */
  async until<Value>(read: () => Promise<Value>, fits: (value: Value) => boolean, waitedFor: (last: Value) => string): Promise<Value> {
    const end = Date.now() + this.#patienceMs;
    for (;;) {
      const value = await read();
      if (fits(value)) return value;
      if (Date.now() >= end) throw new StepFailed(`waited ${this.#patienceMs / 1_000} s for ${waitedFor(value)}`);
      await sleep(POLL_MS);
    }
  }
}

function hasEnded(status: string): boolean {
  return ['delivered', 'rejected', 'cancelled'].includes(status);
}

function stateOf(order: Order): string {
  return order.statusReason === null ? order.status : `${order.status} (${order.statusReason})`;
}

/** The API's problem documents say what is wrong; whatever else answers is quoted. */
function problemIn(text: string): string {
  try {
    const { code, detail } = JSON.parse(text) as { code?: string; detail?: string };
    return [code, detail].filter(Boolean).join(', ');
  } catch {
    return text.slice(0, 200);
  }
}

function reasonOf(error: unknown): string {
  const cause = (error as Error).cause as NodeJS.ErrnoException | undefined;
  return cause?.code ?? cause?.message ?? (error as Error).message;
}

/** Lets a history happen to a shop, through its public API alone, step by step: the next begins when the one before has had all its effects. */
import type { Reply, SignedIn, TestShop } from '#testing';
import { untilQuiet } from '../gateway/quiet.testing.ts';
import { Side } from '../gateway/sameness.testing.ts';
import { sorted } from './state.testing.ts';
import { CUSTOMERS, PRODUCTS, type Step } from './history.testing.ts';

const API = '/api/v1';
const STOCK = 8;
const PRICE = 1_250;
const shippingAddress = { name: 'Annie Easley', line1: '21000 Brookpark Road', city: 'Cleveland', postalCode: '44135', country: 'US' };

/** What was asked for and what was answered, ids and times aside. */
export interface Told {
  readonly step: Step;
  readonly answer: unknown;
}

export interface Seen {
  readonly path: unknown;
  readonly answer: unknown;
}

interface Order {
  readonly id: string;
  readonly owner: SignedIn;
  readonly key: string;
  readonly body: unknown;
}

export class Player {
  readonly side = new Side();
  readonly #shop: TestShop;
  readonly #customers: SignedIn[] = [];
  readonly #products: string[] = [];
  readonly #orders: Order[] = [];
  readonly #tickets: { id: string; owner: SignedIn }[] = [];
  #admin!: SignedIn;

  constructor(shop: TestShop) {
    this.#shop = shop;
  }

  /** @returns what each step was answered, in their order */
  async play(steps: readonly Step[]): Promise<Told[]> {
    await this.#begin();
    const told: Told[] = [];
    for (const step of steps) {
      const reply = await this.#take(step);
      await untilQuiet(this.#shop);
      told.push({ step, answer: reply && this.#told(step.act === 'history', reply) });
    }
    await this.#untilMailed();
    return told;
  }

  /** What the people see in the end, in the order in which it came to be. */
  async seen(): Promise<Seen[]> {
    const lists = ['/orders', '/payments', '/shipments', '/notifications', '/tickets'].map((path) => `${path}?limit=100`);
    const looks = [
      ...this.#customers.flatMap(({ token }) => ['/users/me', ...lists.filter((path) => !path.startsWith('/payments'))].map((path) => ({ path, token }))),
      ...this.#orders.flatMap(({ id, owner: { token } }) => [`/orders/${id}`, `/orders/${id}/history`, `/payments?orderId=${id}`, `/shipments?orderId=${id}`].map((path) => ({ path, token }))),
      ...this.#tickets.map(({ id, owner: { token } }) => ({ path: `/tickets/${id}`, token })),
      ...this.#products.flatMap((id) => [`/products/${id}`, `/inventory/${id}`, `/recommendations/${id}`, `/product-pages/${id}`].map((path) => ({ path, token: this.#admin.token }))),
    ];
    const replies: Reply[] = [];
    for (const { path, token } of looks) replies.push(await this.#whole(path, token));
    return looks.map(({ path }, n) => ({ path: this.side.kept(path), answer: path.startsWith('/notifications') ? this.#inNoOrder(replies[n]!) : this.#told(path.endsWith('/history'), replies[n]!) }));
  }

  /** A part of a page that comes too late is missing, which tells how fast the machine is: it is asked for again. */
  async #whole(path: string, token: string): Promise<Reply> {
    return this.#shop.until(async () => {
      const reply = await this.#shop.request('GET', `${API}${path}`, { token });
      return (reply.body as { degraded?: unknown[] }).degraded?.length ? undefined : reply;
    }, `${path} with all its parts`);
  }

  /** When a message of an order was sent has nothing to do with how far the order is by then: it stands on its record where it happens to. */
  #told(isHistory: boolean, reply: Reply): unknown {
    if (!isHistory || !Array.isArray(reply.body)) return this.side.told(reply);
    return this.side.told({ ...reply, body: (reply.body as { event: string }[]).filter(({ event }) => event !== 'message_sent') });
  }

  /** Messages of two events that have nothing to do with one another come in either order. */
  #inNoOrder({ status, body }: Reply): unknown {
    return { status, items: sorted((body.items as unknown[]).map((message) => this.side.kept(message))) };
  }

  async #begin(): Promise<void> {
    this.#admin = await this.#shop.admin();
    while (this.#customers.length < CUSTOMERS) this.#customers.push(await this.#shop.customer());
    while (this.#products.length < PRODUCTS) this.#products.push((await this.#shop.product({ stock: STOCK, price: PRICE + this.#products.length, name: `Kettle ${this.#products.length}` })).id);
    this.side.acquaint([this.#admin.id, ...this.#customers.map(({ id }) => id), ...this.#products]);
    await untilQuiet(this.#shop);
  }

  async #take(step: Step): Promise<Reply | undefined> {
    switch (step.act) {
      case 'place':
        return this.#place(step.of, { items: step.lines.map(({ product, quantity }) => ({ productId: this.#products[product], quantity })), shippingAddress, ...(step.card !== undefined && { payment: { method: 'card', cardToken: step.card } }) });
      case 'place again':
        return this.#with(this.#orders, step.pick, async ({ owner, key, body }) => this.#as(owner, 'POST', '/orders', body, { 'idempotency-key': key }));
      case 'pay':
        return this.#with(this.#orders, step.pick, async ({ id, owner }) => this.#as(owner, 'POST', '/payments', { orderId: id, method: 'card', cardToken: step.card }));
      case 'cancel':
        return this.#with(this.#orders, step.pick, async ({ id, owner }) => this.#as(owner, 'POST', `/orders/${id}/cancel`));
      case 'history':
        return this.#with(this.#orders, step.pick, async ({ id, owner }) => this.#as(owner, 'GET', `/orders/${id}/history`));
      case 'dispatch':
      case 'deliver':
        return this.#with(this.#orders, step.pick, async ({ id }) => this.#withFirst(`/shipments?orderId=${id}`, async (shipment) => this.#as(this.#admin, 'POST', `/shipments/${shipment}/${step.act}`)));
      case 'refund':
        return this.#with(this.#orders, step.pick, async ({ id }) => this.#withFirst(`/payments?orderId=${id}`, async (payment) => this.#as(this.#admin, 'POST', `/payments/${payment}/refund`, { reason: 'It was late', ...(step.amount !== undefined && { amount: step.amount }) })));
      case 'ask':
        return this.#ask(step);
      case 'answer':
        return this.#with(this.#tickets, step.pick, async ({ id }) => this.#as(this.#admin, 'POST', `/tickets/${id}/messages`, { body: 'We are looking into it.' }));
      case 'close':
        return this.#with(this.#tickets, step.pick, async ({ id, owner }) => this.#as(owner, 'POST', `/tickets/${id}/close`));
      case 'phone':
        return this.#as(this.#customers[step.of]!, 'PATCH', '/users/me', { phone: step.phone });
      case 'tell again':
        return this.#as(this.#admin, 'POST', '/admin/events/replays', { subscriber: step.subscriber, type: step.type, from: '2026-01-01T00:00:00.000Z' });
      default:
        return this.#change(step);
    }
  }

  async #change(step: Extract<Step, { product: number }>): Promise<Reply> {
    const id = this.#products[step.product]!;
    switch (step.act) {
      case 'stock':
        return this.#as(this.#admin, 'PUT', `/inventory/${id}`, { onHand: step.onHand });
      case 'adjust':
        return this.#as(this.#admin, 'POST', `/inventory/${id}/adjustments`, { delta: step.delta, reason: 'counted' });
      case 'reprice':
        return this.#as(this.#admin, 'PATCH', `/products/${id}`, { price: { amount: step.amount, currency: 'USD' } });
      case 'withdraw':
        return this.#as(this.#admin, 'DELETE', `/products/${id}`);
      case 'page':
        return this.#whole(`/product-pages/${id}`, this.#customers[0]!.token);
    }
  }

  async #place(of: number, body: unknown): Promise<Reply> {
    const owner = this.#customers[of]!;
    const key = `order-${this.#orders.length}-${owner.id}`;
    const reply = await this.#as(owner, 'POST', '/orders', body, { 'idempotency-key': key });
    if (reply.status === 201) this.#orders.push({ id: reply.body.id, owner, key, body });
    return reply;
  }

  async #ask({ of, about }: Extract<Step, { act: 'ask' }>): Promise<Reply> {
    const owned = this.#orders.filter(({ owner }) => owner === this.#customers[of]);
    const order = about === undefined ? undefined : owned[about % Math.max(owned.length, 1)];
    const reply = await this.#as(this.#customers[of]!, 'POST', '/tickets', { subject: 'Where is it?', body: 'I have been waiting.', ...(order && { orderId: order.id }) });
    if (reply.status === 201) this.#tickets.push({ id: reply.body.id, owner: this.#customers[of]! });
    return reply;
  }

  /** Nothing happens where there is none yet. */
  async #with<T>(things: readonly T[], pick: number, act: (thing: T) => Promise<Reply | undefined>): Promise<Reply | undefined> {
    return things.length === 0 ? undefined : act(things[pick % things.length]!);
  }

  async #withFirst(path: string, act: (id: string) => Promise<Reply>): Promise<Reply> {
    const found = await this.#as(this.#admin, 'GET', path);
    const [first] = found.body.items as { id: string }[];
    return first ? act(first.id) : found;
  }

  async #as({ token }: SignedIn, method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Reply> {
    return this.#shop.request(method, `${API}${path}`, { token, headers, ...(body !== undefined && { body }) });
  }

  async #untilMailed(): Promise<void> {
    const under = `select 1 from notification where status = 'queued' union all select 1 from order_report`;
    await this.#shop.until(async () => (await this.#shop.sql('notifications', under)).length === 0, 'all messages to be sent, and their orders to know of it');
  }
}

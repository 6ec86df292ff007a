/** A shop with something in it of every kind, and the five callers that differ in what they may do. */
import type { Reply, SignedIn, TestShop } from '#testing';

export const callers = ['anonymous', 'stranger', 'owner', 'support', 'admin'] as const;
export type Caller = (typeof callers)[number];

export const API = '/api/v1';
export const shippingAddress = { name: 'Grace Hopper', line1: '1 Harbour Street', city: 'Arlington', postalCode: '22201', country: 'US' };

export const replayRequest = { subscriber: 'notifications.customer-messages', type: 'orders.order-placed.v1', from: '2026-01-01T00:00:00.000Z' };

/** What the owner has: an order that was paid and is being sent, all that came of it, and a question about it. */
export interface Belongings {
  readonly order: string;
  readonly payment: string;
  readonly shipment: string;
  readonly ticket: string;
}

export class World {
  readonly shop: TestShop;
  readonly product: string;
  readonly #signedIn: Readonly<Record<Exclude<Caller, 'anonymous'>, SignedIn>>;

  private constructor(shop: TestShop, product: string, signedIn: Readonly<Record<Exclude<Caller, 'anonymous'>, SignedIn>>) {
    this.shop = shop;
    this.product = product;
    this.#signedIn = signedIn;
  }

  static async create(shop: TestShop): Promise<World> {
    const [stranger, owner, support, admin] = [await shop.customer(), await shop.customer(), await shop.support(), await shop.admin()];
    const { id } = await shop.product({ stock: 100_000, price: 1_999 });
    return new World(shop, id, { stranger, owner, support, admin });
  }

  /** The same with another owner. */
  ownedBy(owner: SignedIn): World {
    return new World(this.shop, this.product, { ...this.#signedIn, owner });
  }

  user(caller: Exclude<Caller, 'anonymous'>): SignedIn {
    return this.#signedIn[caller];
  }

  /** Who the caller is, for a request. */
  as(caller: Caller): { token?: string } {
    return caller === 'anonymous' ? {} : { token: this.#signedIn[caller].token };
  }

  /** An order of the owner's; without a card it waits for its payment. */
  async order(card?: string): Promise<string> {
    const payment = card === undefined ? {} : { payment: { method: 'card', cardToken: card } };
    const wanted = { items: [{ productId: this.product, quantity: 1 }], shippingAddress, ...payment };
    const { body } = await this.#done('POST', '/orders', { ...this.as('owner'), body: wanted });
    const status = card === undefined ? 'awaiting_payment' : 'confirmed';
    await this.shop.until(async () => (await this.#done('GET', `/orders/${body.id}`, this.as('owner'))).body.status === status, `order ${body.id} to be ${status}`);
    return body.id as string;
  }

  async belongings(): Promise<Belongings> {
    const order = await this.order('tok_visa');
    const [payments, shipments] = await Promise.all(['payments', 'shipments'].map((list) => this.#done('GET', `/${list}?orderId=${order}`, this.as('owner'))));
    return { order, payment: payments!.body.items[0].id, shipment: shipments!.body.items[0].id, ticket: await this.ticket(order) };
  }

  /** A ticket of the owner's. */
  async ticket(orderId?: string): Promise<string> {
    const asked = { subject: 'When does it come?', body: 'I would like to know.', ...(orderId !== undefined && { orderId }) };
    const { body } = await this.#done('POST', '/tickets', { ...this.as('owner'), body: asked });
    return body.id as string;
  }

  /** A replay of the orders that were placed. */
  async replay(): Promise<string> {
    const { body } = await this.#done('POST', '/admin/events/replays', { ...this.as('admin'), body: replayRequest });
    return body.id as string;
  }

  async dispatched(): Promise<string> {
    const { shipment } = await this.belongings();
    await this.#done('POST', `/shipments/${shipment}/dispatch`, this.as('admin'));
    return shipment;
  }

  async #done(method: string, path: string, options: { token?: string; body?: unknown }): Promise<Reply> {
    const reply = await this.shop.request(method, `${API}${path}`, options);
    if (reply.status >= 300) throw new Error(`${method} ${path} answered ${reply.status}: ${JSON.stringify(reply.body)}`);
    return reply;
  }
}

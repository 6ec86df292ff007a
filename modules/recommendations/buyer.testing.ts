/** A customer who buys things together, and what anybody is told of that. */
import type { Reply, SignedIn, TestShop } from '#testing';

const shippingAddress = { name: 'Ada Lovelace', line1: '12 St James Square', city: 'London', postalCode: 'SW1Y 4JH', country: 'GB' };

export class Buyer {
  readonly #shop: TestShop;
  readonly #customer: SignedIn;

  constructor(shop: TestShop, customer: SignedIn) {
    this.#shop = shop;
    this.#customer = customer;
  }

  /** Two of each, paid by card; not yet without one. @returns the order's id */
  async order(productIds: readonly string[], cardToken: string | null = 'tok_visa'): Promise<string> {
    const items = productIds.map((productId) => ({ productId, quantity: 2 }));
    const { status, body } = await this.#shop.request('POST', '/api/v1/orders', { token: this.#customer.token, body: { items, shippingAddress, ...(cardToken !== null && { payment: { method: 'card', cardToken } }) } });
    if (status !== 201) throw new Error(`an order answered ${status}: ${JSON.stringify(body)}`);
    return body.id;
  }

  /** Until the order is confirmed. */
  async buy(...productIds: string[]): Promise<string> {
    const id = await this.order(productIds);
    await this.#shop.until(async () => (await this.#shop.request('GET', `/api/v1/orders/${id}`, { token: this.#customer.token })).body.status === 'confirmed', `order ${id} to be confirmed`);
    return id;
  }

  async pay(id: string): Promise<void> {
    const { status } = await this.#shop.request('POST', '/api/v1/payments', { token: this.#customer.token, body: { orderId: id, method: 'card', cardToken: 'tok_visa' } });
    if (status !== 201) throw new Error(`paying for ${id} answered ${status}`);
  }

  async cancel(id: string): Promise<void> {
    const { status } = await this.#shop.request('POST', `/api/v1/orders/${id}/cancel`, { token: this.#customer.token });
    if (status !== 200) throw new Error(`cancelling ${id} answered ${status}`);
  }
}

/** What goes with a product. */
export async function recommended(shop: TestShop, id: string, query = ''): Promise<Reply> {
  return shop.request('GET', `/api/v1/recommendations/${id}${query}`);
}

/** The load: customers who buy, pay, cancel and look, and an administrator who sends parcels and gives money back. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Api, told } from './api.testing.ts';
import { type Journal, type Line, type Move, type Payment, type Placement, type Refund, settle } from './journal.testing.ts';
import type { Random } from './random.testing.ts';
import type { Stage } from './stage.testing.ts';

export interface CustomersInit {
  readonly api: Api;
  readonly stage: Stage;
  readonly journal: Journal;
  readonly random: Random;
  /** How many act at a time. */
  readonly clients: number;
  /** Milliseconds that each rests between two of its stories, at the most. */
  readonly restMs: number;
}

const shippingAddress = { name: 'Margaret Hamilton', line1: '1 Apollo Way', city: 'Cambridge', postalCode: '02139', country: 'US' };
const LOOK_EVERY_MS = 30;
/** A story whose order does not get where it should is told no further; the books will say what became of it. */
const PATIENCE_MS = 15_000;

type Story = (client: Client) => Promise<void>;

export class Customers {
  readonly #init: CustomersInit;
  readonly #clients: Promise<void>[];
  #isOpen = true;
  #marks = 0;

  constructor(init: CustomersInit) {
    this.#init = init;
    this.#clients = Array.from({ length: init.clients }, async () => this.#act(this.#client(() => this.#isOpen)));
  }

  /**
   * Buys something and waits until it is on its way: whatever the shop is made of takes part in that.
   * @returns milliseconds until the order was acknowledged, and until it was confirmed; infinite where that did not happen
   */
  async pulse(): Promise<{ acknowledged: number; confirmed: number }> {
    const startedAt = performance.now();
    const client = this.#client(() => true);
    const order = await client.place('tok_visa', true);
    const acknowledged = performance.now() - startedAt;
    if (!order) return { acknowledged: Number.POSITIVE_INFINITY, confirmed: Number.POSITIVE_INFINITY };
    return { acknowledged, confirmed: (await client.until(order, 'confirmed')) ? performance.now() - startedAt : Number.POSITIVE_INFINITY };
  }

  /** Resolves when every story that was begun has ended. */
  async goHome(): Promise<void> {
    this.#isOpen = false;
    await Promise.all(this.#clients);
  }

  #mark(): string {
    this.#marks += 1;
    return `mark ${this.#marks}`;
  }

  #client(isOpen: () => boolean): Client {
    return new Client(this.#init, this.#init.random.branch(), () => this.#mark(), isOpen);
  }

  async #act(client: Client): Promise<void> {
    try {
      while (this.#isOpen) {
        await client.random.oneOf(stories)(client);
        await sleep(client.random.between(0, this.#init.restMs));
      }
    } catch (error) {
      this.#init.journal.complain(`a client gave up: ${(error as Error).stack}`);
    }
  }
}

class Client {
  readonly random: Random;
  readonly #init: CustomersInit;
  readonly #mark: () => string;
  readonly #isOpen: () => boolean;

  constructor(init: CustomersInit, random: Random, mark: () => string, isOpen: () => boolean) {
    this.#init = init;
    this.random = random;
    this.#mark = mark;
    this.#isOpen = isOpen;
  }

  /**
   * @param surely repeats it until it is answered
   * @returns the order, where it was acknowledged
   */
  async place(card?: string, surely = false): Promise<Placement | undefined> {
    const { stage, journal } = this.#init;
    const customer = this.random.oneOf(stage.customers);
    const placement: Placement = { ...this.#wish(surely), customerId: customer.id, items: this.#basket(), card };
    journal.placements.push(placement);
    const body = { items: placement.items, shippingAddress: { ...shippingAddress, line2: placement.mark }, ...(card && { payment: { method: 'card', cardToken: card } }) };
    const answer = await this.#init.api.ask({ method: 'POST', path: '/orders', token: customer.token, key: placement.key, body });
    if (!settle(placement, answer) || answer === 'lost') return undefined;
    placement.total = answer.body.total.amount;
    return placement;
  }

  /** Of two products as often as of one, so that there is something to be bought together. */
  #basket(): Line[] {
    const chosen = Array.from({ length: this.random.between(1, 2) }, () => this.random.oneOf(this.#init.stage.products));
    return [...new Set(chosen)].map((productId) => ({ productId, quantity: this.random.between(1, 3) }));
  }

  async pay({ id, customerId }: Placement, card: string): Promise<boolean> {
    const payment: Payment = { ...this.#wish(), orderId: id!, card };
    this.#init.journal.payments.push(payment);
    return settle(payment, await this.#init.api.ask({ method: 'POST', path: '/payments', token: this.#tokenOf(customerId), key: payment.key, body: { orderId: id, method: 'card', cardToken: card } }));
  }

  async cancel({ id, customerId }: Placement): Promise<void> {
    await this.#move(id!, 'cancel', `/orders/${id}/cancel`, this.#tokenOf(customerId));
  }

  async send({ id }: Placement, verb: 'dispatch' | 'deliver'): Promise<void> {
    const shipment = (await this.#list(`/shipments?orderId=${id}`))[0];
    if (shipment) await this.#move(id!, verb, `/shipments/${shipment.id}/${verb}`, this.#init.stage.admin.token);
  }

  async refund({ id }: Placement, amount: number): Promise<void> {
    const payment = (await this.#list(`/payments?orderId=${id}`)).find(({ status }) => status === 'completed' || status === 'partially_refunded');
    if (!payment) return;
    const refund: Refund = { ...this.#wish(), orderId: id!, paymentId: payment.id, amount };
    this.#init.journal.refunds.push(refund);
    const body = { amount: { amount, currency: 'USD' }, reason: refund.mark };
    settle(refund, await this.#init.api.ask({ method: 'POST', path: `/payments/${payment.id}/refund`, token: this.#init.stage.admin.token, key: refund.key, body }));
  }

  async recount(): Promise<void> {
    await this.#init.api.ask({ method: 'POST', path: '/admin/recommendations/rebuild', token: this.#init.stage.admin.token });
  }

  /** @returns whether the order got there; an order that was acknowledged and is not there is a loss */
  async until({ id, customerId }: Placement, ...statuses: readonly string[]): Promise<boolean> {
    const givenUpAt = performance.now() + PATIENCE_MS;
    while (this.#isOpen() && performance.now() < givenUpAt) {
      const answer = await this.#init.api.ask({ method: 'GET', path: `/orders/${id}`, token: this.#tokenOf(customerId) });
      if (answer === 'lost' || answer.status !== 200) this.#init.journal.complain(`the acknowledged order ${id} was answered ${told(answer)}`);
      else if (statuses.includes(answer.body.status)) return true;
      else if (answer.body.status === 'cancelled' || answer.body.status === 'rejected') return false;
      await sleep(LOOK_EVERY_MS);
    }
    return false;
  }

  /** Every kind of page that people look at. */
  async look(): Promise<void> {
    const { stage, api, journal } = this.#init;
    const { id, token } = this.random.oneOf(stage.customers);
    const product = this.random.oneOf(stage.products);
    const own = journal.placements.filter((placement) => placement.customerId === id && placement.outcome === 'acknowledged').slice(-20);
    const order = own.length > 0 ? this.random.oneOf(own).id! : product;
    const paths = ['/products?limit=5', `/products/${product}`, `/inventory/${product}`, '/users/me', '/orders?limit=5', `/payments?orderId=${order}`, '/shipments?limit=5', '/notifications?limit=5', `/recommendations/${product}`, `/product-pages/${product}`];
    for (const path of paths) {
      const answer = await api.ask({ method: 'GET', path, token });
      if (answer === 'lost' || answer.status !== 200) journal.complain(`GET ${path} was answered ${told(answer)}`);
    }
  }

  async #move(orderId: string, verb: Move['verb'], path: string, token: string): Promise<void> {
    const move: Move = { mark: orderId, key: undefined, verb, outcome: 'asked' };
    this.#init.journal.moves.push(move);
    settle(move, await this.#init.api.ask({ method: 'POST', path, token }));
  }

  /** As an administrator sees it. */
  async #list(path: string): Promise<{ id: string; status: string }[]> {
    const answer = await this.#init.api.ask({ method: 'GET', path, token: this.#init.stage.admin.token });
    return answer === 'lost' ? [] : (answer.body.items ?? []);
  }

  /** @param surely under a key, so that it is repeated until it is answered */
  #wish(surely = false): { mark: string; key: string | undefined; outcome: 'asked' } {
    const mark = this.#mark();
    return { mark, key: surely || this.random.chance(0.6) ? mark.replace(' ', '-') : undefined, outcome: 'asked' };
  }

  #tokenOf(customerId: string): string {
    return this.#init.stage.customers.find(({ id }) => id === customerId)!.token;
  }
}

/** Cards that pay, one of them too late for whoever asked. */
const good = ['tok_visa', 'tok_visa', 'tok_visa', 'tok_timeout'];

async function bought(client: Client): Promise<void> {
  const order = await client.place(client.random.oneOf(good));
  if (order) await client.until(order, 'confirmed');
}

async function delivered(client: Client): Promise<void> {
  const order = await client.place('tok_visa');
  if (!order || !(await client.until(order, 'confirmed'))) return;
  await client.send(order, 'dispatch');
  if (await client.until(order, 'shipped')) await client.send(order, 'deliver');
}

async function paidLater(client: Client): Promise<void> {
  const order = await client.place();
  if (!order || !(await client.until(order, 'awaiting_payment'))) return;
  if (client.random.chance(0.3)) await client.pay(order, 'tok_insufficient_funds');
  await client.pay(order, client.random.oneOf(good));
  if (client.random.chance(0.3)) await client.pay(order, 'tok_visa');
}

async function neverPaid(client: Client): Promise<void> {
  await client.place();
}

async function cancelledAtOnce(client: Client): Promise<void> {
  const order = await client.place(client.random.oneOf([undefined, ...good]));
  if (!order) return;
  await sleep(client.random.between(0, 60));
  await client.cancel(order);
}

async function cancelledLate(client: Client): Promise<void> {
  const order = await client.place('tok_visa');
  if (order && (await client.until(order, 'confirmed'))) await Promise.all([client.cancel(order), ...(client.random.chance(0.3) ? [client.send(order, 'dispatch')] : [])]);
}

async function refunded(client: Client): Promise<void> {
  const order = await client.place('tok_visa');
  if (!order || !(await client.until(order, 'confirmed'))) return;
  await client.refund(order, client.random.between(1, order.total!));
  if (client.random.chance(0.5)) await client.refund(order, client.random.between(1, order.total!));
}

async function declined(client: Client): Promise<void> {
  await client.place('tok_declined');
}

/** Counted anew from the orders' history, while orders come and go and their events are counted, too. */
async function recounted(client: Client): Promise<void> {
  await client.recount();
}

async function looked(client: Client): Promise<void> {
  await client.look();
}

const stories: readonly Story[] = [bought, bought, delivered, paidLater, paidLater, neverPaid, cancelledAtOnce, cancelledLate, refunded, declined, recounted, looked];

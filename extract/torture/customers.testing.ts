/** The load: customers who buy, pay, cancel and look, and an administrator who sends parcels and gives money back. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, type Api, type Question, told } from './api.testing.ts';
import type { Journal, Line, Move, Payment, Placement, Refund } from './journal.testing.ts';
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
/** What a wish may meet with in a sound shop, since others were there before. Everybody can pay, everything is on the shelf: an order is refused for nothing. */
const REFUSALS = {
  place: [],
  pay: ['ORDER_NOT_PAYABLE', 'ORDER_ALREADY_PAID'],
  refund: ['REFUND_EXCEEDS_PAYMENT', 'PAYMENT_NOT_REFUNDABLE'],
  cancel: ['ORDER_NOT_CANCELLABLE'],
  dispatch: ['SHIPMENT_NOT_PREPARING'],
  deliver: ['SHIPMENT_NOT_DISPATCHED'],
} as const;
const BAD_CARD = 'tok_insufficient_funds';

export interface Pulse {
  /** Milliseconds until an order was acknowledged, until it was confirmed, and until every module had shown what it keeps; infinite where that did not happen. */
  readonly acknowledged: number;
  readonly confirmed: number;
  readonly shown: number;
}

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

  /** Buys something and waits until it is on its way, and looks at a page of each kind meanwhile. */
  async pulse(): Promise<Pulse> {
    const startedAt = performance.now();
    const since = () => performance.now() - startedAt;
    const client = this.#client(() => true);
    const bought = async (): Promise<Omit<Pulse, 'shown'>> => {
      const order = await client.place('tok_visa', true);
      const acknowledged = order ? since() : Number.POSITIVE_INFINITY;
      return { acknowledged, confirmed: order && (await client.until(order, 'confirmed')) ? since() : Number.POSITIVE_INFINITY };
    };
    const looked = async (): Promise<number> => ((await client.lookAtOnce()) ? since() : Number.POSITIVE_INFINITY);
    const [purchase, shown] = await Promise.all([bought(), looked()]);
    return { ...purchase, shown };
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
    if (!journal.settle(placement, answer, REFUSALS.place) || answer === 'lost') return undefined;
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
    const answer = await this.#init.api.ask({ method: 'POST', path: '/payments', token: this.#tokenOf(customerId), key: payment.key, body: { orderId: id, method: 'card', cardToken: card } });
    return this.#init.journal.settle(payment, answer, card === BAD_CARD ? ['PAYMENT_DECLINED', ...REFUSALS.pay] : REFUSALS.pay);
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
    this.#init.journal.settle(refund, await this.#init.api.ask({ method: 'POST', path: `/payments/${payment.id}/refund`, token: this.#init.stage.admin.token, key: refund.key, body }), REFUSALS.refund);
  }

  async recount(): Promise<void> {
    await this.#granted({ method: 'POST', path: '/admin/recommendations/rebuild', token: this.#init.stage.admin.token });
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

  /** Every kind of page that people look at, one after another. */
  async look(): Promise<void> {
    for (const page of this.#pages()) await this.#granted(page);
  }

  /** The same all at once. @returns whether each was shown */
  async lookAtOnce(): Promise<boolean> {
    const answers = await Promise.all(this.#pages().map(async (page) => this.#granted(page)));
    return answers.every((answer) => answer !== undefined);
  }

  /** Of each module one that it has to ask its database for, at least. */
  #pages(): Question[] {
    const { stage, journal } = this.#init;
    const { id, token } = this.random.oneOf(stage.customers);
    const product = this.random.oneOf(stage.products);
    const own = journal.placements.filter((placement) => placement.customerId === id && placement.outcome === 'acknowledged').slice(-20);
    const order = own.length > 0 ? this.random.oneOf(own).id! : product;
    const search = `/products/search?q=${encodeURIComponent(`thing ${this.random.between(1, 1_000_000)}`)}`;
    const paths = [
      '/products?limit=5', search, `/products/${product}`, `/inventory/${product}`, '/users/me', '/orders?limit=5', `/payments?orderId=${order}`, '/shipments?limit=5',
      '/notifications?limit=5', `/recommendations/${product}`, '/tickets?limit=5', `/product-pages/${product}`,
    ];
    return paths.map((path) => ({ method: 'GET', path, token }));
  }

  /** @returns the answer where there is one; of any but a success it complains */
  async #granted(question: Question): Promise<Answer | undefined> {
    const answer = await this.#init.api.ask(question);
    if (answer === 'lost') return undefined;
    if (answer.status >= 300) this.#init.journal.complain(`${question.method} ${question.path} was answered ${told(answer)}`);
    return answer.status < 300 ? answer : undefined;
  }

  async #move(orderId: string, verb: Move['verb'], path: string, token: string): Promise<void> {
    const move: Move = { mark: orderId, key: undefined, verb, outcome: 'asked' };
    this.#init.journal.moves.push(move);
    this.#init.journal.settle(move, await this.#init.api.ask({ method: 'POST', path, token }), REFUSALS[verb]);
  }

  /** As an administrator sees it. */
  async #list(path: string): Promise<{ id: string; status: string }[]> {
    const answer = await this.#granted({ method: 'GET', path, token: this.#init.stage.admin.token });
    return answer?.body.items ?? [];
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
  if (client.random.chance(0.3)) await client.pay(order, BAD_CARD);
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

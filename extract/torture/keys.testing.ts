/**
 * Idempotency keys by force: many copies of one request at once, under one key, in some rounds with a `kill -9` among them. Whoever
 * asks is answered alike, it happens once, and anything else under that key is refused. In every other round half of the copies ask
 * for something else: whichever comes first is what the key stands for, and the other half is refused.
 */
import { isDeepStrictEqual } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, Api, type Outcome, type Question, told } from './api.testing.ts';
import { Books } from './books.testing.ts';
import type { Place } from './places.testing.ts';
import { Random } from './random.testing.ts';
import { administrator, impatient, RealShop } from './real-shop.testing.ts';
import { type Finding, holds, type Result } from './result.testing.ts';
import { type Person, setStage, type Stage } from './stage.testing.ts';

export interface KeysOptions extends Place {
  readonly keys: number;
  /** Requests under each of them, all at once. */
  readonly copies: number;
  /** Rounds in which the shop is killed. */
  readonly kills: number;
  readonly seed: number;
  progress(line: string): void;
}

/** A request under a key, and what it may do once. */
interface Wish {
  readonly path: string;
  readonly token: string;
  readonly key: string;
  readonly body: object;
  /** As valid, and not the same. */
  readonly other: object;
  /** Counts the effects of both; `$1` is `of`. */
  readonly effects: string;
  readonly of: string;
}

const address = { name: 'Barbara Liskov', line1: '1 Turing Square', city: 'Cambridge', postalCode: '02139', country: 'US' };
const OTHERS = 5;
/** Long enough for the machine to be slow: work that outlasts its lease is taken up by another copy, which then answers first-hand, too. */
const LEASE_MS = '3000';
/** From when the copies are sent until the shop is killed. */
const KILLED_AFTER_MS = { least: 0, most: 60 };
/** From so many kills on some must have come before it was done, and some between that and the answers. */
const MANY_KILLS = 20;
/** From so many rounds with two bodies on, one must have come while the other was under way. */
const MANY_CONTESTS = 10;
const LOOK_EVERY_MS = 30;
const RETELL_EVERY = 10;

export async function keys(options: KeysOptions): Promise<Result> {
  const { adminUrl, rolePrefix } = options;
  const complaints: string[] = [];
  const shop = await RealShop.prepare({ settings: { ...impatient, DATABASE_URL: adminUrl, DATABASE_ROLE_PREFIX: rolePrefix, PAYMENT_LEASE_MS: LEASE_MS } });
  const hadToWait = new WeakSet<object>();
  const heard = ({ body }: Question, outcome: Outcome): void => {
    if (isInProgress(outcome)) hadToWait.add(body as object);
  };
  const api = new Api({ url: shop.url, complain: (complaint) => complaints.push(complaint), heard });
  const books = new Books(adminUrl);
  try {
    await shop.launch().up;
    const rounds = new Rounds(options, { shop, api, books, stage: await setStage(api, administrator), hadToWait });
    await rounds.all();
    const rest: Finding = { claim: 'the shop came to rest by itself', violations: await books.untilAtRest() };
    const sums = [...(await books.stock()), ...(await books.money()), ...(await books.orders()), ...(await books.events())];
    return {
      findings: [...rounds.findings(), rest, { claim: 'stock, money and events add up', violations: sums }, { claim: 'no client was told what it should not be', violations: complaints }],
      figures: [`${options.keys} keys, ${options.copies} copies of each request, ${rounds.kills} kills, ${rounds.done} of them after it was done; ${rounds.replayed} answers were replayed; two bodies at once under ${rounds.contests} keys, under ${rounds.contestedInHand} of them one came while the other was under way`],
    };
  } finally {
    await shop.end();
    await books.close();
  }
}

interface Tools {
  readonly shop: RealShop;
  readonly api: Api;
  readonly books: Books;
  readonly stage: Stage;
  /** Bodies that came while their key was under way. */
  readonly hadToWait: WeakSet<object>;
}

interface Asked {
  readonly body: object;
  readonly outcome: Answer | 'lost';
}

class Rounds {
  kills = 0;
  replayed = 0;
  /** Kills after which it had been done already. */
  done = 0;
  /** Rounds in which two bodies came at once. */
  contests = 0;
  /** Of these, those in which the body that was refused had come while the other was under way. */
  contestedInHand = 0;
  readonly #options: KeysOptions;
  readonly #tools: Tools;
  readonly #random: Random;
  readonly #unlike: string[] = [];
  readonly #notOnce: string[] = [];
  readonly #notRefused: string[] = [];

  constructor(options: KeysOptions, tools: Tools) {
    this.#options = options;
    this.#tools = tools;
    this.#random = new Random(options.seed);
  }

  async all(): Promise<void> {
    const { keys: rounds, progress } = this.#options;
    const makers = [this.#order, this.#payment, this.#refund];
    for (let n = 1; n <= rounds; n += 1) {
      const wish = await makers[n % makers.length]!.call(this, `wish-${n}`);
      await this.#round(wish, { isKilled: this.#isKilled(n), isContested: n % 2 === 0 });
      if (n % RETELL_EVERY === 0) progress(`${n} of ${rounds} keys, ${this.kills} kills, ${this.replayed} answers replayed`);
    }
  }

  findings(): Finding[] {
    return [
      holds('the shop was killed as often as was asked for', this.kills === Math.min(this.#options.kills, this.#options.keys), `${this.kills} times`),
      holds('some kills came before it was done, and some after', this.kills < MANY_KILLS || (this.done > 0 && this.done < this.kills), `after ${this.done} of ${this.kills} it was done`),
      { claim: 'all copies were answered alike', violations: this.#unlike },
      { claim: 'each wish came true once', violations: this.#notOnce },
      { claim: 'another body under a key was refused with 422', violations: this.#notRefused },
      holds('some of these came while the first was under way', this.contests < MANY_CONTESTS || this.contestedInHand > 0, `of ${this.contests} keys none`),
    ];
  }

  /** Spread over all rounds. */
  #isKilled(n: number): boolean {
    const { keys: rounds, kills } = this.#options;
    const share = Math.min(kills, rounds) / rounds;
    return Math.floor(n * share) > Math.floor((n - 1) * share);
  }

  async #round(wish: Wish, { isKilled, isContested }: { isKilled: boolean; isContested: boolean }): Promise<void> {
    const bodyOf = (copy: number): object => (isContested && copy % 2 === 1 ? wish.other : wish.body);
    const all = Promise.all(Array.from({ length: this.#options.copies }, async (_, copy) => this.#ask(wish, bodyOf(copy))));
    if (isKilled) await this.#kill(wish);
    const asked = await all;
    const isOther = asked.some(({ body, outcome }) => body === wish.other && isDone(outcome));
    const [winner, loser] = isOther ? [wish.other, wish.body] : [wish.body, wish.other];
    this.#compare(wish, asked.filter(({ body }) => body === winner).map(({ outcome }) => outcome));
    const late = await Promise.all(Array.from({ length: OTHERS }, async () => this.#ask(wish, loser)));
    const refused = [...asked.filter(({ body }) => body === loser), ...late];
    this.#notRefused.push(...refused.filter(({ outcome }) => !isReused(outcome)).map(({ outcome }) => `${wish.key}: ${told(outcome)}`));
    if (isContested) this.contests += 1;
    if (isContested && this.#tools.hadToWait.has(loser)) this.contestedInHand += 1;
    const times = await this.#effects(wish);
    if (times !== 1) this.#notOnce.push(`${wish.key}, POST ${wish.path}: ${times} times`);
  }

  async #ask({ path, token, key }: Wish, body: object): Promise<Asked> {
    return { body, outcome: await this.#tools.api.ask({ method: 'POST', path, token, key, body }) };
  }

  /** One answer is the first one, at the most: it may have been lost with the shop, or have been that the card processor is late. */
  #compare({ key }: Wish, outcomes: readonly (Answer | 'lost')[]): void {
    const [first] = outcomes;
    const isAlike = (outcome: Outcome) => isDone(outcome) && isDone(first!) && isDeepStrictEqual(outcome.body, first.body);
    const replayed = outcomes.filter((outcome) => typeof outcome === 'object' && outcome.headers.get('idempotency-replayed') === 'true').length;
    this.replayed += replayed;
    this.#unlike.push(...outcomes.filter((outcome) => !isAlike(outcome)).map((outcome) => `${key}: ${told(outcome)}`));
    const firsts = outcomes.length - replayed;
    if (firsts > 1) this.#unlike.push(`${key}: ${firsts} answers were not said to be replayed`);
  }

  async #effects({ effects, of }: Wish): Promise<number> {
    const [row] = await this.#tools.books.rows<{ n: number }>(effects, [of]);
    return row!.n;
  }

  async #kill(wish: Wish): Promise<void> {
    const { shop } = this.#tools;
    await sleep(this.#random.between(KILLED_AFTER_MS.least, KILLED_AFTER_MS.most));
    await shop.life.kill('SIGKILL');
    this.kills += 1;
    this.done += await this.#effects(wish);
    await shop.launch().up;
  }

  async #order(mark: string): Promise<Wish> {
    const { stage } = this.#tools;
    const customer = this.#random.oneOf(stage.customers);
    const body = { items: [{ productId: this.#random.oneOf(stage.products), quantity: 1 }], shippingAddress: { ...address, line2: mark } };
    const effects = `select count(*)::int as n from orders.customer_order where shipping_address->>'line2' = $1`;
    return { path: '/orders', token: customer.token, key: mark, body, other: { ...body, items: [{ ...body.items[0], quantity: 2 }] }, effects, of: mark };
  }

  async #payment(mark: string): Promise<Wish> {
    const customer = this.#random.oneOf(this.#tools.stage.customers);
    const orderId = await this.#placed(customer, undefined, 'awaiting_payment');
    const body = { orderId, method: 'card', cardToken: 'tok_visa' };
    const effects = `select count(*)::int as n from payments.payment p join payments.simulator_charge c on c.key = p.id::text and c.outcome = 'approved' where p.order_id = $1`;
    return { path: '/payments', token: customer.token, key: mark, body, other: { ...body, cardToken: 'tok_timeout' }, effects, of: orderId };
  }

  async #refund(mark: string): Promise<Wish> {
    const { api, stage } = this.#tools;
    const orderId = await this.#placed(this.#random.oneOf(stage.customers), 'tok_visa', 'confirmed');
    const { items } = await api.mustDo({ method: 'GET', path: `/payments?orderId=${orderId}`, token: stage.admin.token });
    const body = { amount: { amount: 5, currency: 'USD' }, reason: mark };
    const effects = `select count(*)::int as n from payments.refund r join payments.simulator_refund s on s.key = r.id::text where r.reason = $1`;
    return { path: `/payments/${items[0].id}/refund`, token: stage.admin.token, key: mark, body, other: { ...body, amount: { amount: 6, currency: 'USD' } }, effects, of: mark };
  }

  async #placed({ token }: Person, cardToken: string | undefined, status: string): Promise<string> {
    const { api, stage } = this.#tools;
    const body = { items: [{ productId: stage.products[0], quantity: 1 }], shippingAddress: address, ...(cardToken && { payment: { method: 'card', cardToken } }) };
    const { id } = await api.mustDo({ method: 'POST', path: '/orders', token, key: `order-${this.#random.next()}`, body });
    while ((await api.mustDo({ method: 'GET', path: `/orders/${id}`, token })).status !== status) await sleep(LOOK_EVERY_MS);
    return id as string;
  }
}

function isDone(outcome: Outcome): outcome is Answer {
  return typeof outcome === 'object' && outcome.status === 201;
}

function isReused(outcome: Outcome): boolean {
  return typeof outcome === 'object' && outcome.status === 422 && outcome.body.code === 'IDEMPOTENCY_KEY_REUSED';
}

function isInProgress(outcome: Outcome): boolean {
  return typeof outcome === 'object' && outcome.status === 409 && outcome.body.code === 'IDEMPOTENCY_IN_PROGRESS';
}

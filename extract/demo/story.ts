/** One customer's day in the shop: buys, is declined, comes too late, changes their mind, buys again, asks. Every step is checked. */
import { randomBytes, randomUUID } from 'node:crypto';
import { type Found, signInAsAdmin } from './admin.ts';
import { chapter, inbox, moneyText, step, timeline } from './screen.ts';
import { asksAndIsAnswered, type Asked } from './question.ts';
import { buysTogether, isRecommended } from './together.ts';
import { type HistoryEntry, type List, mustHold, type Notification, type Order, type Payment, type Product, type ShopApi } from './shop-api.ts';

const STOCK = 25;

/** Who and what the story is about. */
export interface Stage {
  readonly api: ShopApi;
  readonly admin: string;
  readonly customer: string;
  /** In stock. */
  readonly lantern: Product;
  /** Goes with it. */
  readonly oil: Product;
  /** The last one. */
  readonly antique: Product;
}

/** An order of the story. */
interface Told {
  readonly title: string;
  readonly order: Order;
  /** What its history must come to. */
  readonly lastWord: RegExp;
  /** E-mails about it, and as many texts. */
  readonly messages: number;
}

/** @throws StepFailed, ShopNotThere */
export async function tellStory(api: ShopApi, credentials: Found): Promise<void> {
  // Names that no other run has used: the demo can be repeated, and run beside itself.
  const mark = randomBytes(4).toString('hex');
  chapter('The shop opens');
  const admin = await step('The administrator signs in', () => signInAsAdmin(api, credentials));
  const lantern = await stocked(api, admin, `Storm lantern ${mark}`, 1_999, STOCK);
  const oil = await stocked(api, admin, `Lamp oil ${mark}`, 450, STOCK);
  const antique = await stocked(api, admin, `Antique sextant ${mark}`, 24_900, 1);
  chapter('A customer comes in');
  const customer = await signUp(api, `demo_${mark}`);
  const stage = { api, admin, customer, lantern, oil, antique };
  await search(stage);

  const orders = [await buysAndReceives(stage), await isDeclined(stage), await comesTooLate(stage), await changesTheirMind(stage), await buysWhatGoesWithIt(stage)];
  const asked = await asksAndIsAnswered(stage, orders[0]!.order, mark);
  for (const told of orders) timeline(`Order ${told.order.id}: ${told.title}, ${moneyText(told.order.total)}`, await history(stage, told, asked));
  await readsTheirMail(stage, orders, asked);
  chapter('The shop closes');
  await step('The administrator takes the demo products out of the catalog', async () => {
    for (const { id } of [lantern, oil, antique]) await api.ask(204, 'DELETE', `/products/${id}`, { token: admin });
  });
}

async function stocked(api: ShopApi, token: string, name: string, amount: number, onHand: number): Promise<Product> {
  return step('The administrator puts a product on the shelf', async () => {
    const body = { name, description: 'Made by the demo; it is taken out again at the end.', price: { amount, currency: 'USD' } };
    const product = await api.ask<Product>(201, 'POST', '/products', { token, body });
    const setStock = () => api.send('PUT', `/api/v1/inventory/${product.id}`, { token, body: { onHand } });
    // Inventory learns of the product from an event, so it may know of it a moment later.
    const { status, text } = await api.until(setStock, (answer) => answer.status !== 404, () => `inventory to know ${product.id}; it answers 404`);
    mustHold(status === 200, `setting the stock of ${product.id} answered ${status} where 200 was expected: ${text}`);
    return product;
  }, ({ price }) => `${name}, ${moneyText(price)}, ${onHand} in stock`);
}

async function signUp(api: ShopApi, username: string): Promise<string> {
  const password = randomUUID();
  return step('She signs up, signs in and leaves her phone number', async () => {
    const user = await api.ask<{ role: string }>(201, 'POST', '/users', { body: { username, email: `${username}@example.com`, password } });
    mustHold(user.role === 'customer', `a new user must be a customer, but ${username} is ${user.role}`);
    const token = await api.signIn({ username, password });
    await api.ask(200, 'PATCH', '/users/me', { token, body: { phone: '+442079460018' } });
    return token;
  }, () => username);
}

async function search({ api, lantern }: Stage): Promise<void> {
  const words = lantern.name.replace('lantern', 'lantren').toLowerCase();
  await step(`She searches for “${words}”, with a slip of the finger`, async () => {
    const { items } = await api.get<List<Product>>(`/products/search?q=${encodeURIComponent(words)}`);
    const found = items.map(({ name }) => name).join(', ') || 'nothing';
    mustHold(items.some(({ id }) => id === lantern.id), `the search must find ${lantern.name}, but found ${found}`);
    return items;
  }, (items) => `${items.length} found, among them ${lantern.name}`);
}

async function buysAndReceives({ api, admin, customer, lantern }: Stage): Promise<Told> {
  chapter('She buys two lanterns');
  const key = randomUUID();
  const order = await step('She orders and pays by card', () => api.placeOrder(customer, [lantern.id], 2, 'tok_visa', key), describe);
  const cost = 2 * lantern.price.amount;
  mustHold(order.total.amount === cost, `two lanterns cost ${cost}, but the order says ${order.total.amount}`);
  await step('Her browser sends the order twice: it is one order', async () => {
    const again = await api.placeOrder(customer, [lantern.id], 2, 'tok_visa', key);
    mustHold(again.id === order.id, `the same idempotency key must answer order ${order.id}, but it made ${again.id}`);
  });
  await step('The order is confirmed', () => api.follow(customer, order.id, 'confirmed'));
  await stockIs(api, lantern, STOCK - 2);
  await step('The administrator dispatches the parcel, and the order is shipped', async () => {
    const [shipment] = (await api.get<List<{ id: string }>>(`/shipments?orderId=${order.id}`, admin)).items;
    mustHold(shipment !== undefined, `the confirmed order ${order.id} must have a shipment`);
    await api.ask(200, 'POST', `/shipments/${shipment.id}/dispatch`, { token: admin });
    await api.follow(customer, order.id, 'shipped');
    return shipment;
  });
  await step('The parcel is delivered', async () => {
    const [shipment] = (await api.get<List<{ id: string }>>(`/shipments?orderId=${order.id}`, admin)).items;
    await api.ask(200, 'POST', `/shipments/${shipment!.id}/deliver`, { token: admin });
    await api.follow(customer, order.id, 'delivered');
  });
  return { title: 'bought and delivered', order, lastWord: /delivered/, messages: 3 };
}

async function isDeclined({ api, customer, lantern }: Stage): Promise<Told> {
  chapter('Her other card is declined');
  const order = await step('She orders and pays by card', () => api.placeOrder(customer, [lantern.id], 1, 'tok_declined'), describe);
  await step('The order is cancelled, because the card was declined', () => endsAs(api, customer, order, 'cancelled', 'PAYMENT_DECLINED'));
  await step('Nothing was charged', () => paymentsAre(api, customer, order, 'declined'));
  await stockIs(api, lantern, STOCK - 2);
  return { title: 'declined', order, lastWord: /cancelled/, messages: 3 };
}

async function comesTooLate({ api, customer, antique }: Stage): Promise<Told> {
  chapter('She wants two of what there is one of');
  const order = await step('She orders and pays by card', () => api.placeOrder(customer, [antique.id], 2, 'tok_visa'), describe);
  await step('The order is rejected, because it is sold out', () => endsAs(api, customer, order, 'rejected', 'OUT_OF_STOCK'));
  await step('Nothing was charged', async () => {
    const { items } = await api.get<List<Payment>>(`/payments?orderId=${order.id}`, customer);
    mustHold(items.length === 0, `a rejected order must have no payment, but ${order.id} has ${items.map(({ status }) => status).join()}`);
  });
  await stockIs(api, antique, 1);
  return { title: 'sold out', order, lastWord: /rejected/, messages: 2 };
}

async function changesTheirMind(stage: Stage): Promise<Told> {
  const { api, customer, lantern, oil } = stage;
  chapter('She changes her mind');
  const order = await step('She orders three lanterns with oil and pays by card', () => api.placeOrder(customer, [lantern.id, oil.id], 3, 'tok_visa'), describe);
  await step('The order is confirmed', () => api.follow(customer, order.id, 'confirmed'));
  await step('Who looks at the lantern is shown the oil', () => isRecommended(stage, 1));
  await step('She cancels it', async () => {
    await api.ask(200, 'POST', `/orders/${order.id}/cancel`, { token: customer });
    await endsAs(api, customer, order, 'cancelled', 'CUSTOMER_REQUEST');
  });
  await step('She has her money back', () => paymentsAre(api, customer, order, 'refunded'), ([payment]) => moneyText(payment!.amount));
  await stockIs(api, lantern, STOCK - 2);
  await step('Who looks at the lantern is shown no oil any more', () => isRecommended(stage, 0));
  return { title: 'cancelled and refunded', order, lastWord: /refund/, messages: 3 };
}

async function buysWhatGoesWithIt(stage: Stage): Promise<Told> {
  return { title: 'bought together', order: await buysTogether(stage), lastWord: /confirmed/, messages: 2 };
}

function describe(order: Order): string {
  return `order ${order.id}, ${moneyText(order.total)}`;
}

async function endsAs(api: ShopApi, token: string, { id }: Order, status: string, reason: string): Promise<void> {
  const order = await api.follow(token, id, status);
  mustHold(order.statusReason === reason, `order ${id} must be ${status} for ${reason}, but the reason is ${order.statusReason}`);
}

async function paymentsAre(api: ShopApi, token: string, { id }: Order, status: string): Promise<readonly Payment[]> {
  const { items } = await api.until(
    () => api.get<List<Payment>>(`/payments?orderId=${id}`, token),
    (list) => list.items.length > 0 && list.items.every((payment) => payment.status === status),
    (list) => `the payments of order ${id} to be ${status}; they are ${list.items.map((payment) => payment.status).join() || 'none'}`,
  );
  return items;
}

async function stockIs(api: ShopApi, product: Product, expected: number): Promise<void> {
  await step(`The shelf holds ${expected}`, () =>
    api.until(
      () => api.get<{ available: number }>(`/inventory/${product.id}`),
      ({ available }) => available === expected,
      ({ available }) => `${expected} of ${product.name} to be available; there are ${available}`,
    ),
  );
}

/** The whole history: what follows an order's end, such as a refund, and what other modules report is on record a moment later. */
async function history({ api, customer }: Stage, { order, lastWord, messages }: Told, { orderId, answers }: Asked): Promise<readonly HistoryEntry[]> {
  const asked = orderId === order.id;
  const expected = { message: 2 * (messages + (asked ? answers : 0)), ticket: asked ? 2 + answers : 0 };
  const count = (entries: readonly HistoryEntry[], kind: string) => entries.filter(({ event }) => event.startsWith(`${kind}_`)).length;
  const entries = await api.until(
    () => api.get<readonly HistoryEntry[]>(`/orders/${order.id}/history`, customer),
    (seen) => seen.some(({ event }) => lastWord.test(event)) && count(seen, 'message') >= expected.message && count(seen, 'ticket') >= expected.ticket,
    (seen) => `the history of order ${order.id} to tell of ${lastWord.source}, ${expected.message} messages and ${expected.ticket} entries of tickets; it tells of ${seen.map(({ event }) => event).join(', ')}`,
  );
  mustHold(entries.every(({ at }, i) => i === 0 || at >= entries[i - 1]!.at), `the history of order ${order.id} must be in the order of time`);
  for (const [kind, wanted] of Object.entries(expected)) mustHold(count(entries, kind) === wanted, `the history of order ${order.id} must tell of each ${kind} once: ${wanted} entries, but there are ${count(entries, kind)}`);
  return entries;
}

/** Each fact once by e-mail and once by text; e-mails name their order or ticket in full. */
async function readsTheirMail({ api, customer }: Stage, orders: readonly Told[], asked: Asked): Promise<void> {
  const subjects = [...orders.map(({ order, messages }) => ({ id: order.id, messages })), { id: asked.ticketId, messages: asked.answers }];
  const expected = 2 * subjects.reduce((sum, { messages }) => sum + messages, 0);
  const { items } = await api.until(
    () => api.get<List<Notification>>('/notifications?limit=100', customer),
    (list) => list.items.length >= expected,
    (list) => `${expected} messages, half of them e-mails; there are ${list.items.length}: ${titles(list.items)}`,
  );
  inbox(items.toReversed());
  for (const { id, messages } of subjects) {
    const mails = items.filter(({ channel, body }) => channel === 'email' && body.includes(id));
    mustHold(mails.length === messages, `${id} must have ${messages} e-mails, but has ${mails.length}: ${titles(mails)}`);
  }
  mustHold(items.length === expected, `there must be ${expected} messages in all, but there are ${items.length}: ${titles(items)}`);
  mustHold(items.every(({ status }) => status !== 'failed'), 'no message may have failed');
}

function titles(messages: readonly Notification[]): string {
  return messages.map(({ subject, body }) => subject || body).join(' | ') || 'none';
}

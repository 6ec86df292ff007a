/** Makes what the operations need: things in each state, through the public API. */
import { randomBytes } from 'node:crypto';
import { until } from '../processes/deployment.testing.ts';
import type { Api } from '../torture/api.testing.ts';
import { shippingAddress, type Stage, type Supplies, type Thing } from './operations.testing.ts';

const AT_ONCE = 8;
const PATIENCE_MS = 30_000;

interface Tools {
  readonly api: Api;
  readonly stage: Stage;
}

/** So many of each kind. */
export async function supply(tools: Tools, count: number): Promise<Supplies> {
  const waiting = await many(count, async () => ({ order: await ordered(tools), payment: '', shipment: '' }));
  const paid = await many(4 * count + 1, async () => bought(tools));
  const [toCancel, toRefund, toDispatch, toDeliver] = [0, 1, 2, 3].map((n) => paid.slice(n * count, (n + 1) * count)) as [Thing[], Thing[], Thing[], Thing[]];
  for (const { shipment } of toDeliver) await tools.api.mustDo({ method: 'POST', path: `/shipments/${shipment}/dispatch`, token: tools.stage.admin.token });
  const tickets = await many(count + 1, async () => ticket(tools));
  return { waiting, toCancel, toRefund, toDispatch, toDeliver, toClose: tickets.slice(1), toDelete: await many(count, async () => product(tools)), kept: paid.at(-1)!, ticket: tickets[0]! };
}

async function ordered({ api, stage: { customers, products } }: Tools, card?: string): Promise<string> {
  const { token } = customers[0]!;
  const payment = card === undefined ? {} : { payment: { method: 'card', cardToken: card } };
  const { id } = await api.mustDo({ method: 'POST', path: '/orders', token, key: randomBytes(8).toString('hex'), body: { items: [{ productId: products[0]!, quantity: 1 }], shippingAddress, ...payment } });
  await until(async () => (await api.mustDo({ method: 'GET', path: `/orders/${id}`, token })).status === (card === undefined ? 'awaiting_payment' : 'confirmed'), `order ${id} to get where it should`, PATIENCE_MS);
  return id as string;
}

async function bought(tools: Tools): Promise<Thing> {
  const { api, stage: { admin: { token } } } = tools;
  const order = await ordered(tools, 'tok_visa');
  const [payment, shipment] = await Promise.all(['payments', 'shipments'].map(async (list) => (await api.mustDo({ method: 'GET', path: `/${list}?orderId=${order}`, token })).items[0].id as string));
  return { order, payment: payment!, shipment: shipment! };
}

async function ticket({ api, stage: { customers: [customer] } }: Tools): Promise<string> {
  return (await api.mustDo({ method: 'POST', path: '/tickets', token: customer!.token, body: { subject: 'Where is it?', body: 'I am waiting.' } })).id as string;
}

async function product({ api, stage: { admin: { token } } }: Tools): Promise<string> {
  return (await api.mustDo({ method: 'POST', path: '/products', token, body: { name: `Spare ${randomBytes(4).toString('hex')}`, description: 'To be deleted', price: { amount: 100, currency: 'USD' } } })).id as string;
}

async function many<T>(count: number, make: () => Promise<T>): Promise<T[]> {
  const things: T[] = [];
  const worker = async (): Promise<void> => {
    for (let left = count; left > 0 && things.length < count; left -= 1) things.push(await make());
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, count) }, worker));
  return things.slice(0, count);
}

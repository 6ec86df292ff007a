/** Orders: places them, shows them, cancels them. Fulfilment does the rest. */
import { type Actor, afterFirstCommit, type Call, type Clients, type Database, type Idempotency, refuse, type Saga, type Transaction, uuidv7 } from '#kernel';
import type { catalog } from '../catalog/contract.ts';
import type { shipping } from '../shipping/contract.ts';
import { orders } from './contract.ts';
import { facts, type FulfilmentData, type Step } from './fulfilment.ts';
import { CUSTOMER_REQUEST, everyProductCanBeOrdered, type Line, noProductIsOrderedInExcess, orderCanBeCancelled, pricesAreTakenFromTheCatalog, sameProductsAreAddedUp, shipmentMayExist, totalOf } from './order.ts';
import { type Fact, findOrder, historyOf, insertOrder, listOrders, lockOrder, type NewOrder, type OrderRow, ordersAfter, recordFacts } from './order-store.ts';

export interface OrderRequest {
  readonly items: readonly Line[];
  readonly shippingAddress: FulfilmentData['address'];
  readonly payment?: { readonly method: 'card'; readonly cardToken: string };
}

export interface OrdersOptions {
  readonly db: Database;
  readonly clients: Clients<{ catalog: typeof catalog; shipping: typeof shipping }>;
  readonly fulfilment: Saga<FulfilmentData, Step>;
  readonly idempotency: Idempotency;
  readonly paymentTimeoutMs: number;
}

export interface Placed {
  readonly order: OrderView;
  /** The answer is that of an earlier request with the same idempotency key. */
  readonly replayed: boolean;
}

export type OrderView = Omit<ReturnType<typeof orderView>, 'status'> & { status: OrderRow['status'] };

type PricedOrder = NewOrder & { readonly shippingAddress: FulfilmentData['address'] };

/** Longer than any payment may take, so that stock is not given away between the payment and its commit. */
const RESERVATION_MARGIN_MS = 15 * 60_000;
const CANCEL_TRIES = 5;

export class Orders {
  readonly #options: OrdersOptions;

  constructor(options: OrdersOptions) {
    this.#options = options;
  }

  /**
   * Takes an order; it is durable when this resolves, and its fulfilment has begun.
   * @throws ContractError PRODUCT_NOT_FOUND, CURRENCIES_DIFFER, ORDER_TOO_LARGE
   * @throws CallError VALIDATION_FAILED where lines of one product add up to too many pieces
   */
  async place(customerId: string, request: OrderRequest, key: string | undefined, call: Call): Promise<Placed> {
    const { db, idempotency } = this.#options;
    const keyed = { ownerId: customerId, key, body: request, route: 'POST /orders' };
    if (key !== undefined) {
      // Before the catalog is asked: a replay must not depend on what can be ordered today.
      const before = await db.transaction({ call }, async (tx) => idempotency.claim(tx, keyed));
      if (before) return { order: before.body as OrderView, replayed: true };
    }
    const order = await this.#priced(customerId, request, call);
    return db.transaction({ call }, async (tx) => {
      const replay = await idempotency.claim(tx, keyed);
      if (replay) return { order: replay.body as OrderView, replayed: true };
      const placed = await this.#insert(tx, order, request.payment?.cardToken);
      await idempotency.answer(tx, keyed, { status: 201, body: placed });
      return { order: placed, replayed: false };
    });
  }

  /** @throws ContractError ORDER_NOT_FOUND, also for someone else's order */
  async find(id: string, actor: Actor, call: Call): Promise<OrderView> {
    return orderView(await this.#visible(id, actor, call));
  }

  async history(id: string, actor: Actor, call: Call): Promise<{ at: string; event: string; detail: string }[]> {
    await this.#visible(id, actor, call);
    const entries = await historyOf(this.#options.db.for(call), id);
    return entries.map((entry) => ({ at: entry.at.toISOString(), event: entry.event, detail: entry.detail }));
  }

  /** @returns ids of the facts whose order does not exist */
  async record(items: readonly Fact[], call: Call): Promise<string[]> {
    return recordFacts(this.#options.db.for(call), items);
  }

  /** Newest first; customers see their own. */
  async list(actor: Actor, page: { limit: number; before: string | null }, call: Call): Promise<OrderView[]> {
    const customerId = actor.role === 'customer' ? actor.id : null;
    return (await listOrders(this.#options.db.for(call), { customerId, before: page.before, limit: page.limit })).map(orderView);
  }

  async after(after: string | null, limit: number, call: Call): Promise<OrderView[]> {
    return (await ordersAfter(this.#options.db.for(call), after, limit)).map(orderView);
  }

  async get(id: string, call: Call): Promise<OrderView> {
    const row = await findOrder(this.#options.db.for(call), id);
    if (!row) throw orderNotFound(id);
    return orderView(row);
  }

  /**
   * Ends an order that has not been dispatched. Where a shipment may exist it is stopped first: shipping
   * decides the race with the dispatch.
   * @throws ContractError ORDER_NOT_FOUND, ORDER_NOT_CANCELLABLE
   */
  async cancel(id: string, actor: Actor, call: Call): Promise<OrderView> {
    for (let tries = 0; tries < CANCEL_TRIES; tries += 1) {
      const { status } = await this.#visible(id, actor, call);
      if (!orderCanBeCancelled(status)) throw notCancellable(id, status);
      const stopped = shipmentMayExist(status);
      if (stopped) await this.#stopShipment(id, call);
      const aborted = this.#abort(id, stopped, call);
      if (await (stopped ? afterFirstCommit(aborted) : aborted)) return afterFirstCommit(this.get(id, call));
    }
    throw refuse(orders, 'ORDER_NOT_CANCELLABLE', `order ${id} is changing too fast; try again`);
  }

  async #priced(customerId: string, request: OrderRequest, call: Call): Promise<PricedOrder> {
    const lines = sameProductsAreAddedUp(request.items);
    noProductIsOrderedInExcess(lines);
    const { items } = await this.#options.clients.catalog.getProducts({ ids: lines.map((line) => line.productId) }, call);
    everyProductCanBeOrdered(lines, items);
    const priced = pricesAreTakenFromTheCatalog(lines, items);
    return { id: uuidv7(), customerId, lines: priced, total: totalOf(priced), paysLater: request.payment === undefined, shippingAddress: request.shippingAddress, at: new Date() };
  }

  async #insert(tx: Transaction, order: PricedOrder, cardToken: string | undefined): Promise<OrderView> {
    insertOrder(tx, order);
    const data: FulfilmentData = {
      orderId: order.id,
      customerId: order.customerId,
      total: order.total,
      items: order.lines,
      address: order.shippingAddress,
      reservedUntil: new Date(order.at.getTime() + this.#options.paymentTimeoutMs + RESERVATION_MARGIN_MS).toISOString(),
      ...(cardToken !== undefined && { cardToken }),
    };
    await this.#options.fulfilment.begin(tx, order.id, data);
    tx.publish(orders.events.orderPlaced, facts(data));
    return newOrderView(order);
  }

  async #visible(id: string, actor: Actor, call: Call): Promise<OrderRow> {
    const row = await findOrder(this.#options.db.for(call), id);
    if (!row || (actor.role === 'customer' && row.customer_id !== actor.id)) throw orderNotFound(id);
    return row;
  }

  async #stopShipment(orderId: string, call: Call): Promise<void> {
    const { outcome } = await this.#options.clients.shipping.cancelShipment({ orderId, reason: CUSTOMER_REQUEST }, call);
    if (outcome === 'dispatched') throw notCancellable(orderId, 'shipped');
  }

  /** False when a shipment may have come into being since it was looked at. */
  async #abort(id: string, stopped: boolean, call: Call): Promise<boolean> {
    return this.#options.db.transaction({ call }, async (tx) => {
      const { status, reason } = (await lockOrder(tx, id))!;
      // Shipping's report that the shipment was stopped may have come first and ended the order for us.
      if (stopped && status === 'cancelled' && reason === CUSTOMER_REQUEST) return true;
      if (!orderCanBeCancelled(status)) throw notCancellable(id, status);
      if (!stopped && shipmentMayExist(status)) return false;
      return this.#options.fulfilment.abort(tx, id, CUSTOMER_REQUEST);
    });
  }
}

function orderNotFound(id: string) {
  return refuse(orders, 'ORDER_NOT_FOUND', `there is no order ${id} that you may see`);
}

function notCancellable(id: string, status: string) {
  return refuse(orders, 'ORDER_NOT_CANCELLABLE', `order ${id} is ${status}; only an order whose shipment has not left can be cancelled`);
}

function newOrderView(order: PricedOrder) {
  const at = order.at.toISOString();
  const items = order.lines.map(({ productId, name, quantity, unitPrice }) => ({ productId, name, quantity, unitPrice }));
  return { id: order.id, customerId: order.customerId, items, total: order.total, status: 'pending' as const, statusReason: null, shippingAddress: order.shippingAddress, createdAt: at, updatedAt: at };
}

export function orderView(row: OrderRow) {
  return {
    id: row.id,
    customerId: row.customer_id,
    items: row.items.map(({ unitPrice, ...item }) => ({ ...item, unitPrice: { amount: unitPrice, currency: row.currency } })),
    total: { amount: row.total, currency: row.currency },
    status: row.status,
    statusReason: row.status_reason,
    shippingAddress: row.shipping_address as FulfilmentData['address'],
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}

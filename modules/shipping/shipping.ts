/**
 * Shipments: one row per order.
 *
 *   (none) --createShipment--> preparing --dispatch--> dispatched --deliver--> delivered
 *   (none) --createShipment, country not served--> refused
 *   (none) --cancelShipment--> cancelled (tombstone: a later createShipment answers `cancelled`)
 *   preparing | refused --cancelShipment--> cancelled
 *
 * Dispatch and cancellation of one shipment are decided by its row's lock: the second finds what the first did.
 * Creation and cancellation are decided by the unique order id, also while neither has committed.
 */
import { LockMode } from '@mikro-orm/core';
import {
  type Call,
  type Database,
  decodeCursor,
  type DeepReadonly,
  encodeCursor,
  type Operations,
  type Output,
  refuse,
  type Sql,
  type Transaction,
  uuidv7,
} from '#kernel';
import { shipping } from './contract.ts';
import {
  canBeDelivered,
  canBeDispatched,
  hasLeft,
  isServed,
  isShipment,
  type Shipment,
  ShipmentEntity,
  type ShipmentOrder,
  type ShipmentRow,
  type ShipmentStatus,
} from './shipment.ts';
import { trackingNumber } from './tracking-number.ts';

export type Creation = Output<typeof shipping.operations.createShipment>;
export type Cancellation = Output<typeof shipping.operations.cancelShipment>;
type Cancel = DeepReadonly<{ orderId: string; reason: string }>;

/** Which shipments a list shows. */
export interface ShipmentFilter {
  /** Only this customer's; undefined for staff. */
  readonly customerId: string | undefined;
  readonly orderId: string | undefined;
  readonly limit: number;
  readonly cursor: string | undefined;
}

export interface ShipmentPage {
  readonly items: Shipment[];
  readonly nextCursor: string | null;
}

export interface ShippingParts {
  readonly db: Database;
  /** ISO 3166-1 alpha-2 codes; none: all countries. */
  readonly served: ReadonlySet<string>;
}

interface Existing {
  id: string;
  status: ShipmentStatus;
  trackingNumber: string | null;
}

const CREATE = `
insert into shipment (id, order_id, status, customer_id, tracking_number, address, items)
values ($1, $2, 'preparing', $3, $4, $5::jsonb, $6::jsonb)
on conflict (order_id) do nothing
returning id, status, tracking_number as "trackingNumber"`;

const REFUSE = `
insert into shipment (id, order_id, status) values ($1, $2, 'refused')
on conflict (order_id) do nothing
returning id, status, tracking_number as "trackingNumber"`;

const FIND = 'select id, status, tracking_number as "trackingNumber" from shipment where order_id = $1';

const BURY = `
insert into shipment (id, order_id, status, cancel_reason, cancelled_at) values ($1, $2, 'cancelled', $3, now())
on conflict (order_id) do nothing
returning id`;

export class Shipping {
  readonly operations: Operations<typeof shipping> = {
    createShipment: async (input, call) => this.create(input, call),
    cancelShipment: async (input, call) => this.cancel(input, call),
  };
  readonly #db: Database;
  readonly #served: ReadonlySet<string>;

  constructor(parts: ShippingParts) {
    this.#db = parts.db;
    this.#served = parts.served;
  }

  /** Makes the order's shipment, unless it was cancelled or goes where nothing is delivered. Idempotent by order. */
  async create(order: ShipmentOrder, call: Call): Promise<Creation> {
    const db = this.#db.for(call);
    const served = isServed(order.address.country, this.#served);
    const [made] = served ? await insert(db, order) : await db.sql<Existing>(REFUSE, [uuidv7(), order.orderId]);
    const { id, status, trackingNumber: tracking } = made ?? (await find(db, order.orderId));
    if (status === 'cancelled' || status === 'refused') return { outcome: status, shipmentId: null, trackingNumber: null };
    return { outcome: 'created', shipmentId: id, trackingNumber: tracking };
  }

  /** Keeps the order's parcel from leaving, made or not; `dispatched` where it has left. Idempotent. */
  async cancel({ orderId, reason }: Cancel, call: Call): Promise<Cancellation> {
    return this.#db.transaction({ call }, async (tx) => {
      const row = await lockByOrder(tx, orderId);
      if (row) return cancelRow(tx, row, reason);
      const [buried] = await tx.sql(BURY, [uuidv7(), orderId, reason]);
      if (buried) return { outcome: 'cancelled' };
      // A creation that was under way has committed since.
      return cancelRow(tx, (await lockByOrder(tx, orderId))!, reason);
    });
  }

  /** @throws ContractError SHIPMENT_NOT_FOUND, also for another customer's than `customerId` (undefined: anybody's) */
  async shipment(id: string, customerId: string | undefined, call: Call): Promise<Shipment> {
    const row = await this.#db.for(call).em().findOne(ShipmentEntity, { id });
    if (!isShipment(row) || (customerId !== undefined && row.customerId !== customerId)) throw notFound(id);
    return row;
  }

  /** Newest first. */
  async list(filter: ShipmentFilter, call: Call): Promise<ShipmentPage> {
    const after = decodeCursor(filter.cursor, ['uuid'])?.[0] as string | undefined;
    const rows = await this.#db.for(call).em().find(
      ShipmentEntity,
      {
        trackingNumber: { $ne: null },
        ...(filter.customerId !== undefined && { customerId: filter.customerId }),
        ...(filter.orderId !== undefined && { orderId: filter.orderId }),
        ...(after !== undefined && { id: { $lt: after } }),
      },
      { orderBy: { id: 'desc' }, limit: filter.limit + 1 },
    );
    const items = rows.slice(0, filter.limit).filter(isShipment);
    return { items, nextCursor: rows.length > filter.limit ? encodeCursor([items.at(-1)!.id]) : null };
  }

  /** @throws ContractError SHIPMENT_NOT_FOUND, SHIPMENT_NOT_PREPARING */
  async dispatch(id: string, call: Call): Promise<Shipment> {
    return this.#db.transaction({ call }, async (tx) => {
      const shipment = await lock(tx, id);
      if (!canBeDispatched(shipment.status)) {
        const detail = `the shipment ${id} is ${shipment.status}, expected preparing; only one in preparation can be dispatched`;
        throw refuse(shipping, 'SHIPMENT_NOT_PREPARING', detail);
      }
      shipment.status = 'dispatched';
      shipment.dispatchedAt = new Date();
      tx.publish(shipping.events.shipmentDispatched, facts(shipment));
      return shipment;
    });
  }

  /** @throws ContractError SHIPMENT_NOT_FOUND, SHIPMENT_NOT_DISPATCHED */
  async deliver(id: string, call: Call): Promise<Shipment> {
    return this.#db.transaction({ call }, async (tx) => {
      const shipment = await lock(tx, id);
      if (!canBeDelivered(shipment.status)) {
        const detail = `the shipment ${id} is ${shipment.status}, expected dispatched; only one on its way can be delivered`;
        throw refuse(shipping, 'SHIPMENT_NOT_DISPATCHED', detail);
      }
      shipment.status = 'delivered';
      shipment.deliveredAt = new Date();
      tx.publish(shipping.events.shipmentDelivered, facts(shipment));
      return shipment;
    });
  }
}

async function insert(db: Sql, order: ShipmentOrder): Promise<Existing[]> {
  const { orderId, customerId, address, items } = order;
  return db.sql<Existing>(CREATE, [uuidv7(), orderId, customerId, trackingNumber(), JSON.stringify(address), JSON.stringify(items)]);
}

async function find(db: Sql, orderId: string): Promise<Existing> {
  const [row] = await db.sql<Existing>(FIND, [orderId]);
  return row!;
}

function cancelRow(tx: Transaction, row: ShipmentRow, reason: string): Cancellation {
  if (hasLeft(row.status)) return { outcome: 'dispatched' };
  if (row.status !== 'cancelled') {
    row.status = 'cancelled';
    row.cancelReason = reason;
    row.cancelledAt = new Date();
    if (isShipment(row)) {
      const { id, orderId, customerId } = row;
      tx.publish(shipping.events.shipmentCancelled, { shipmentId: id, orderId, customerId, reason });
    }
  }
  return { outcome: 'cancelled' };
}

async function lockByOrder(tx: Transaction, orderId: string): Promise<ShipmentRow | null> {
  return tx.em.findOne(ShipmentEntity, { orderId }, { lockMode: LockMode.PESSIMISTIC_WRITE });
}

async function lock(tx: Transaction, id: string): Promise<Shipment> {
  const row = await tx.em.findOne(ShipmentEntity, { id }, { lockMode: LockMode.PESSIMISTIC_WRITE });
  if (!isShipment(row)) throw notFound(id);
  return row;
}

function facts({ id, orderId, customerId, trackingNumber: tracking }: Shipment) {
  return { shipmentId: id, orderId, customerId, trackingNumber: tracking };
}

function notFound(id: string): Error {
  return refuse(shipping, 'SHIPMENT_NOT_FOUND', `there is no shipment ${id}; check the id`);
}

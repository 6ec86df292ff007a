/** One order's parcel, or the memory of why there is none, and what may happen to it when. */
import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import type { DeepReadonly, Input } from '#kernel';
import type { shipping } from './contract.ts';

export type ShipmentOrder = DeepReadonly<Input<typeof shipping.operations.createShipment>>;

/** `refused`: the address is not served; never shown as a shipment. */
export const shipmentStatuses = ['preparing', 'dispatched', 'delivered', 'cancelled', 'refused'] as const;
export type ShipmentStatus = (typeof shipmentStatuses)[number];

export const ShipmentEntity = defineEntity({
  name: 'Shipment',
  tableName: 'shipment',
  properties: {
    id: p.uuid().primary(),
    orderId: p.uuid().unique('shipment_order_unique'),
    status: p.enum(shipmentStatuses),
    customerId: p.uuid().nullable(),
    trackingNumber: p.text().nullable().unique('shipment_tracking_number_unique'),
    address: p.json<ShipmentOrder['address']>().nullable(),
    items: p.json<ShipmentOrder['items']>().nullable(),
    cancelReason: p.text().nullable(),
    createdAt: p.datetime().columnType('timestamptz').defaultRaw('now()'),
    dispatchedAt: p.datetime().columnType('timestamptz').nullable(),
    deliveredAt: p.datetime().columnType('timestamptz').nullable(),
    cancelledAt: p.datetime().columnType('timestamptz').nullable(),
  },
  indexes: [{ name: 'shipment_customer', properties: ['customerId', 'id'], where: 'customer_id is not null' }],
  checks: [
    {
      name: 'shipment_memory_check',
      expression: `case when tracking_number is null then num_nonnulls(customer_id, address, items) = 0 and status in ('cancelled', 'refused')
    else num_nulls(customer_id, address, items) = 0 and status <> 'refused' end`,
    },
    {
      name: 'shipment_times_check',
      expression: `(dispatched_at is not null) = (status in ('dispatched', 'delivered'))
    and (delivered_at is not null) = (status = 'delivered')
    and (cancelled_at is not null) = (status = 'cancelled')`,
    },
  ],
});

export type ShipmentRow = InferEntity<typeof ShipmentEntity>;

/** A row that stands for a parcel: everything about it is known. */
export type Shipment = ShipmentRow & {
  status: Exclude<ShipmentStatus, 'refused'>;
  customerId: string;
  trackingNumber: string;
  address: ShipmentOrder['address'];
  items: ShipmentOrder['items'];
};

/** Tombstones and refusals are memories for repeated calls, not shipments. */
export function isShipment(row: ShipmentRow | null): row is Shipment {
  return row !== null && row.trackingNumber !== null;
}

/** @param served ISO 3166-1 alpha-2 codes; none means that every country is served */
export function isServed(country: string, served: ReadonlySet<string>): boolean {
  return served.size === 0 || served.has(country);
}

export function canBeDispatched(status: ShipmentStatus): boolean {
  return status === 'preparing';
}

export function canBeDelivered(status: ShipmentStatus): boolean {
  return status === 'dispatched';
}

/** A parcel that has left can't be called back. */
export function hasLeft(status: ShipmentStatus): boolean {
  return status === 'dispatched' || status === 'delivered';
}

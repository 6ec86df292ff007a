/** Lines of an order and the record of what happened to it. */
import { defineEntity, p } from '@mikro-orm/core';
import { OrderEntity } from './order.ts';

export const OrderItemEntity = defineEntity({
  name: 'OrderItem',
  tableName: 'order_item',
  properties: {
    orderId: () => p.manyToOne(OrderEntity).mapToPk().fieldName('order_id').primary(),
    line: p.smallint().primary(),
    productId: p.uuid(),
    name: p.text(),
    quantity: p.integer(),
    unitPrice: p.bigint('number'),
  },
  checks: [
    { name: 'order_item_quantity_check', expression: 'quantity > 0' },
    { name: 'order_item_unit_price_check', expression: 'unit_price >= 0' },
  ],
});

export const OrderEventEntity = defineEntity({
  name: 'OrderEvent',
  tableName: 'order_event',
  properties: {
    id: p.uuid().primary(),
    orderId: () => p.manyToOne(OrderEntity).mapToPk().fieldName('order_id'),
    event: p.text(),
    detail: p.text(),
    at: p.datetime().columnType('timestamptz'),
  },
  indexes: [{ name: 'order_event_by_order', properties: ['orderId', 'id'] }],
});

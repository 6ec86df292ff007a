/** The log of changes by hand: who changed a product's stock, by how much and why. Append only. */
import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

export const AdjustmentEntity = defineEntity({
  name: 'Adjustment',
  tableName: 'adjustment',
  properties: {
    id: p.uuid().primary(),
    productId: p.uuid(),
    delta: p.bigint('number'),
    onHand: p.bigint('number'),
    reason: p.text(),
    actorId: p.uuid().nullable(),
    createdAt: p.datetime().columnType('timestamptz').defaultRaw('now()'),
  },
  indexes: [{ name: 'adjustment_product', properties: ['productId', 'id'] }],
  checks: [{ name: 'adjustment_delta_check', expression: 'delta <> 0' }],
});

export type Adjustment = InferEntity<typeof AdjustmentEntity>;

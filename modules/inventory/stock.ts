/** One product's stock: the row that every order of it touches, and the rules about its numbers. */
import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

export const StockEntity = defineEntity({
  name: 'Stock',
  tableName: 'stock',
  properties: {
    productId: p.uuid().primary(),
    onHand: p.bigint('number').defaultRaw('0'),
    reserved: p.bigint('number').defaultRaw('0'),
    discontinuedAt: p.datetime().columnType('timestamptz').nullable(),
  },
  checks: [{ name: 'stock_reserved_check', expression: 'reserved >= 0 and reserved <= on_hand' }],
});

/** On hand counts what lies on the shelf, reserved pieces included. */
export type Stock = InferEntity<typeof StockEntity>;

/** The two numbers of a product's stock, in pieces. */
export type Level = Pick<Stock, 'onHand' | 'reserved'>;

export type StockStatus = 'in_stock' | 'low' | 'out_of_stock';

/** No product has more pieces than this on hand by an administrator's doing. */
export const MAX_ON_HAND = 1_000_000_000;

/** Pieces that an order can still get. */
export function available(level: Level): number {
  return level.onHand - level.reserved;
}

/** `low` up to and including the threshold. */
export function stockStatus(pieces: number, lowThreshold: number): StockStatus {
  if (pieces <= 0) return 'out_of_stock';
  return pieces <= lowThreshold ? 'low' : 'in_stock';
}

/** Reserved pieces are promised to orders: they must stay on hand until those are settled. */
export function wouldBreakPromises(level: Level, onHand: number): boolean {
  return onHand < level.reserved;
}

export function isMoreThanCanBeKept(onHand: number): boolean {
  return onHand > MAX_ON_HAND;
}

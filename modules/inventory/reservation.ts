/** What an order asks to set aside, and what is answered; pure. */
import type { DeepReadonly, Input, Output } from '#kernel';
import type { inventory } from './contract.ts';

export type ReserveInput = DeepReadonly<Input<typeof inventory.operations.reserve>>;
export type ReserveOutput = Output<typeof inventory.operations.reserve>;

export type ReservationStatus = 'reserved' | 'committed' | 'released' | 'out_of_stock' | 'expired';

/** Lines as the database takes them: two arrays of one length. */
export interface Lines {
  readonly productIds: string[];
  readonly quantities: number[];
}

/** Adds up lines of one product and sorts by product: the order in which stock rows are locked. */
export function mergeLines(items: ReserveInput['items']): Lines {
  const sums = new Map<string, number>();
  for (const { productId, quantity } of items) {
    const id = productId.toLowerCase();
    sums.set(id, (sums.get(id) ?? 0) + quantity);
  }
  const lines = [...sums].sort(([a], [b]) => (a < b ? -1 : 1));
  return { productIds: lines.map(([id]) => id), quantities: lines.map(([, quantity]) => quantity) };
}

/** A repeated `reserve` answers what has become of the first one; expired stock is as free as released stock. */
export function answerToReserve(reservation: { status: ReservationStatus; missing: string[] }): ReserveOutput {
  switch (reservation.status) {
    case 'reserved':
    case 'committed':
      return { outcome: 'reserved', missing: [] };
    case 'out_of_stock':
      return { outcome: 'out_of_stock', missing: reservation.missing };
    case 'released':
    case 'expired':
      return { outcome: 'released', missing: [] };
  }
}

import t from 'tap';
import { demoStock } from './demo-stock.ts';
import { answerToReserve, mergeLines } from './reservation.ts';
import { available, isMoreThanCanBeKept, MAX_ON_HAND, stockStatus, wouldBreakPromises } from './stock.ts';

const [a, b] = ['0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10', '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a11'];

void t.test('what is reserved is not available', async (t) => {
  t.equal(available({ onHand: 10, reserved: 4 }), 6);
});

void t.test('stock is low from the threshold down to one piece', async (t) => {
  t.same([6, 5, 1, 0].map((pieces) => stockStatus(pieces, 5)), ['in_stock', 'low', 'low', 'out_of_stock']);
  t.equal(stockStatus(1, 0), 'in_stock', 'a threshold of 0 means that nothing is ever low');
});

void t.test('reserved pieces are promised and must stay on hand', async (t) => {
  t.equal(wouldBreakPromises({ onHand: 10, reserved: 4 }, 3), true);
  t.equal(wouldBreakPromises({ onHand: 10, reserved: 4 }, 4), false);
  t.equal(wouldBreakPromises({ onHand: 10, reserved: 0 }, -1), true);
});

void t.test('there is an upper end to what can be kept', async (t) => {
  t.equal(isMoreThanCanBeKept(MAX_ON_HAND), false);
  t.equal(isMoreThanCanBeKept(MAX_ON_HAND + 1), true);
});

void t.test('lines of one product are added up, and sorted by product whatever the spelling', async (t) => {
  const merged = mergeLines([
    { productId: b, quantity: 2 },
    { productId: a.toUpperCase(), quantity: 1 },
    { productId: a, quantity: 3 },
  ]);
  t.same(merged, { productIds: [a, b], quantities: [4, 2] });
});

void t.test('a repeated reserve answers what has become of the first', async (t) => {
  const outcomes = (['reserved', 'committed', 'out_of_stock', 'released', 'expired'] as const).map((status) => answerToReserve({ status, missing: [a] }));
  t.same(outcomes, [
    { outcome: 'reserved', missing: [] },
    { outcome: 'reserved', missing: [] },
    { outcome: 'out_of_stock', missing: [a] },
    { outcome: 'released', missing: [] },
    { outcome: 'released', missing: [] },
  ]);
});

void t.test('a demo shop of 200 products is well stocked, with a few running low and two sold out', async (t) => {
  const stock = Array.from({ length: 200 }, (_, position) => demoStock(position));
  t.equal(stock.filter((pieces) => pieces === 0).length, 2);
  t.equal(stock.filter((pieces) => pieces > 0 && pieces <= 5).length, 8);
  t.ok(stock.filter((pieces) => pieces >= 20 && pieces <= 200).length === 190);
  t.ok(new Set(stock).size > 100, 'the amounts differ');
});

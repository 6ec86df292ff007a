/** The rules of an order, without a shop around them. */
import t from 'tap';
import { noProductIsOrderedInExcess, sameProductsAreAddedUp } from './order.ts';

const lamp = '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10';
const desk = '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a11';

t.test('the bound of a line holds for what lines of one product add up to', async (t) => {
  const lines = (...quantities: number[]) => sameProductsAreAddedUp(quantities.map((quantity, i) => ({ productId: i % 2 === 0 ? lamp : lamp.toUpperCase(), quantity })));
  t.same(lines(400, 600), [{ productId: lamp, quantity: 1_000 }]);
  noProductIsOrderedInExcess([...lines(400, 600), { productId: desk, quantity: 1_000 }]);
  t.throws(() => noProductIsOrderedInExcess(lines(400, 601)), { code: 'VALIDATION_FAILED', errors: [{ path: '/items', message: /1001 pieces of 0198c2f4/ }] });
});

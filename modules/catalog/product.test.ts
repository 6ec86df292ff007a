import t from 'tap';
import { factsOf, newProduct, saysSomethingNew } from './product.ts';

const draft = { name: '  Desk lamp ', description: 'Bright.', price: { amount: 4999, currency: 'USD' } };

t.test('a new product has a trimmed name, no category unless it is told one, and the same time twice', async (t) => {
  const product = newProduct(draft);
  t.equal(product.name, 'Desk lamp');
  t.equal(product.categoryId, null);
  t.equal(product.createdAt, product.updatedAt);
  t.match(product.id, /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
});

t.test('a category is named in lower case, whatever the caller wrote', async (t) => {
  t.equal(newProduct({ ...draft, categoryId: '0198C2F4-6A7E-7CC3-9C1E-2F6F1F6B8A10' }).categoryId, '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10');
});

t.test('what a change does not say stays out of it; null says something', async (t) => {
  t.same(factsOf({}), {});
  t.same(factsOf({ categoryId: null }), { categoryId: null });
  t.same(factsOf({ price: { amount: 1, currency: 'EUR' } }), { priceAmount: 1, priceCurrency: 'EUR' });
});

t.test('a change says something new when one value differs', async (t) => {
  const product = newProduct(draft);
  t.notOk(saysSomethingNew(product, factsOf(draft)));
  t.notOk(saysSomethingNew(product, factsOf({ name: 'Desk lamp   ' })));
  t.ok(saysSomethingNew(product, factsOf({ description: 'Bright' })));
  t.ok(saysSomethingNew(product, factsOf({ price: { amount: 4999, currency: 'EUR' } })));
});

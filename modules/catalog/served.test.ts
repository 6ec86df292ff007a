import t from 'tap';
import { namesTag, serve } from './served.ts';

const product = {
  id: '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10',
  name: 'Desk lamp',
  description: '',
  price: { amount: 4999, currency: 'USD' },
  categoryId: null,
  createdAt: '2026-11-23T08:15:30.000Z',
  updatedAt: '2026-11-23T08:15:30.000Z',
};

t.test('the entity tag is strong, the same for the same bytes, and another one after any change', async (t) => {
  const { etag, json } = serve(product);
  t.match(etag, /^"[\w-]{22}"$/);
  t.same(JSON.parse(json), product);
  t.equal(serve({ ...product }).etag, etag);
  t.not(serve({ ...product, name: 'Desk Lamp' }).etag, etag);
});

t.test('If-None-Match names a tag alone, in a list, weakly or by a star', async (t) => {
  for (const header of ['"a"', 'W/"a"', '"b", "a"', '"b",W/"a" ,"c"', '*', ' * ']) t.ok(namesTag(header, '"a"'), header);
  for (const header of ['"b"', 'a', '', '"a', '"A"', '"b", "c"', '"*"']) t.notOk(namesTag(header, '"a"'), header);
});

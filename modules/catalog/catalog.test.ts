import t from 'tap';
import { isRefusal } from '#kernel';
import { testShop } from '#testing';
import { catalog } from './contract.ts';

const shop = await testShop(t);
const { token } = await shop.admin();
const client = shop.client(catalog);
const UNKNOWN = '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10';
const lamp = { name: 'Desk lamp', description: 'Bright.\nAnd quiet.', price: { amount: 4999, currency: 'USD' } };

async function create(body: object = lamp) {
  return shop.request('POST', '/api/v1/products', { token, body });
}

async function category(name: string): Promise<string> {
  return (await shop.request('POST', '/api/v1/categories', { token, body: { name } })).body.id;
}

async function eventsOf(id: string) {
  const text = `select data->>'type' as type, data->'data' as data from job where data->>'aggregateId' = $1 order by id`;
  return shop.sql<{ type: string; data: object }>('catalog_outbox', text, [id]);
}

/** All pages of a list, two items at a time. */
async function walk(path: string, between: () => Promise<void> = async () => undefined): Promise<{ id: string; name: string; price: { amount: number } }[]> {
  const items = [];
  for (let cursor = ''; ; ) {
    const { status, body } = await shop.request('GET', `${path}limit=2${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    if (status !== 200) throw new Error(`${path} answered ${status}`);
    items.push(...body.items);
    if (!body.nextCursor) return items;
    cursor = body.nextCursor;
    await between();
  }
}

t.test('a product from its creation to its end', async (t) => {
  const created = await create({ ...lamp, name: '  Desk lamp  ' });
  t.equal(created.status, 201);
  const { id } = created.body;
  t.equal(created.headers.get('location'), `/api/v1/products/${id}`);
  t.same(created.body, { ...lamp, id, categoryId: null, createdAt: created.body.createdAt, updatedAt: created.body.createdAt });
  t.same((await shop.request('GET', `/api/v1/products/${id}`)).body, created.body);

  const lighting = await category('Lighting');
  const change = { price: { amount: 3999, currency: 'USD' }, categoryId: lighting.toUpperCase() };
  const changed = await shop.request('PATCH', `/api/v1/products/${id}`, { token, body: change });
  t.equal(changed.status, 200);
  t.match(changed.body, { name: 'Desk lamp', price: { amount: 3999 }, categoryId: lighting });
  t.ok(changed.body.updatedAt >= created.body.updatedAt);
  t.same((await shop.request('GET', `/api/v1/products/${id.toUpperCase()}`)).body, changed.body);
  const unchanged = await shop.request('PATCH', `/api/v1/products/${id}`, { token, body: { name: 'Desk lamp' } });
  t.same(unchanged.body, changed.body, 'a change that changes nothing leaves no trace');

  t.equal((await shop.request('DELETE', `/api/v1/products/${id}`, { token })).status, 204);
  for (const [method, body] of [['GET', undefined], ['PATCH', { name: 'Back' }], ['DELETE', undefined]] as const) {
    const reply = await shop.request(method, `/api/v1/products/${id}`, { token, ...(body && { body }) });
    t.equal(reply.status, 404, method);
    t.equal(reply.body.code, 'PRODUCT_NOT_FOUND');
  }
  const listed = await walk(`/api/v1/products?categoryId=${lighting}&`);
  t.same(listed, []);
  t.same(await eventsOf(id), [
    { type: 'catalog.product-created.v1', data: { productId: id, name: 'Desk lamp', price: { amount: 4999, currency: 'USD' } } },
    { type: 'catalog.product-changed.v1', data: { productId: id, name: 'Desk lamp', price: { amount: 3999, currency: 'USD' } } },
    { type: 'catalog.product-deleted.v1', data: { productId: id } },
  ]);
});

t.test('only administrators write', async (t) => {
  const { body: product } = await create();
  const customer = await shop.customer();
  const requests = [
    ['POST', '/api/v1/products', lamp],
    ['PATCH', `/api/v1/products/${product.id}`, { name: 'Mine' }],
    ['DELETE', `/api/v1/products/${product.id}`, undefined],
    ['POST', '/api/v1/categories', { name: 'Mine' }],
  ] as const;
  for (const [method, path, body] of requests) {
    t.equal((await shop.request(method, path, { ...(body && { body }) })).status, 401, `${method} ${path} without a token`);
    t.equal((await shop.request(method, path, { token: customer.token, ...(body && { body }) })).status, 403, `${method} ${path} as a customer`);
  }
  t.equal((await shop.request('GET', `/api/v1/products/${product.id}`)).body.name, 'Desk lamp');
});

t.test('what does not fit is refused, and says where', async (t) => {
  const wrong: [object, string][] = [
    [{ ...lamp, name: '' }, '/name'],
    [{ ...lamp, name: '   ' }, '/name'],
    [{ ...lamp, name: 'x'.repeat(201) }, '/name'],
    [{ ...lamp, name: 'two\nlines' }, '/name'],
    [{ ...lamp, name: 7 }, '/name'],
    [{ ...lamp, description: 'x'.repeat(5_001) }, '/description'],
    [{ ...lamp, description: 'bell \x07' }, '/description'],
    [{ ...lamp, description: undefined }, '/description'],
    [{ ...lamp, price: { amount: 0, currency: 'USD' } }, '/price/amount'],
    [{ ...lamp, price: { amount: -1, currency: 'USD' } }, '/price/amount'],
    [{ ...lamp, price: { amount: 19.99, currency: 'USD' } }, '/price/amount'],
    [{ ...lamp, price: { amount: '1999', currency: 'USD' } }, '/price/amount'],
    [{ ...lamp, price: { amount: 1e15, currency: 'USD' } }, '/price/amount'],
    [{ ...lamp, price: { amount: 1999, currency: 'usd' } }, '/price/currency'],
    [{ ...lamp, price: 1999 }, '/price'],
    [{ ...lamp, categoryId: 'lighting' }, '/categoryId'],
    [{ ...lamp, colour: 'red' }, '/colour'],
  ];
  for (const [body, path] of wrong) {
    const { status, body: problem } = await create(body);
    t.equal(status, 400, `${path}: ${JSON.stringify(body).slice(0, 80)}`);
    t.equal(problem.code, 'VALIDATION_FAILED');
    t.ok(problem.errors.some((error: { path: string }) => error.path === path), JSON.stringify(problem.errors));
  }
  for (const text of ['nul \0', 'half \ud800']) t.equal((await create({ ...lamp, description: text })).status, 400, JSON.stringify(text));
  const { body: product } = await create();
  t.equal((await shop.request('PATCH', `/api/v1/products/${product.id}`, { token, body: {} })).status, 400, 'a change that says nothing');
  t.equal((await create({ ...lamp, name: '🪔'.repeat(200), description: '' })).status, 201, 'characters are counted, not bytes');
});

t.test('a category that does not exist is refused', async (t) => {
  const refused = await create({ ...lamp, categoryId: UNKNOWN });
  t.equal(refused.status, 422);
  t.match(refused.body, { code: 'CATEGORY_NOT_FOUND', categoryId: UNKNOWN });
  const { body: product } = await create({ ...lamp, categoryId: await category('Desks') });
  t.equal((await shop.request('PATCH', `/api/v1/products/${product.id}`, { token, body: { categoryId: UNKNOWN } })).status, 422);
  const freed = await shop.request('PATCH', `/api/v1/products/${product.id}`, { token, body: { categoryId: null } });
  t.equal(freed.body.categoryId, null);
});

t.test('categories are unique whatever their case, and listed by name', async (t) => {
  const created = await shop.request('POST', '/api/v1/categories', { token, body: { name: ' zoo ' } });
  t.equal(created.status, 201);
  t.match(created.body, { name: 'zoo', createdAt: /Z$/ });
  for (const name of ['Animals', 'birds', 'Cats']) await category(name);
  const taken = await shop.request('POST', '/api/v1/categories', { token, body: { name: 'ZOO' } });
  t.equal(taken.status, 409);
  t.equal(taken.body.code, 'CATEGORY_NAME_TAKEN');
  const names = (await walk('/api/v1/categories?')).map(({ name }) => name);
  t.same(names.filter((name) => ['Animals', 'birds', 'Cats', 'zoo'].includes(name)), ['Animals', 'birds', 'Cats', 'zoo']);
  t.equal(new Set(names).size, names.length);
});

t.test('concurrent changes of one product are all kept', async (t) => {
  const { body: product } = await create();
  const changes = [{ name: 'Floor lamp' }, { description: 'Tall.' }, { price: { amount: 1, currency: 'EUR' } }, { categoryId: await category('Floors') }];
  const replies = await Promise.all(changes.map(async (body) => shop.request('PATCH', `/api/v1/products/${product.id}`, { token, body })));
  t.same(replies.map(({ status }) => status), [200, 200, 200, 200]);
  const { body } = await shop.request('GET', `/api/v1/products/${product.id}`);
  t.match(body, Object.assign({}, ...changes));
  t.equal((await eventsOf(product.id)).length, 5);
});

t.test('of concurrent deletions one succeeds', async (t) => {
  const { body: product } = await create();
  const replies = await Promise.all(Array.from({ length: 5 }, async () => shop.request('DELETE', `/api/v1/products/${product.id}`, { token })));
  t.same(replies.map(({ status }) => status).sort(), [204, 404, 404, 404, 404]);
  t.equal((await eventsOf(product.id)).length, 2);
});

t.test('an entity tag spares the client what it has, until the product changes', async (t) => {
  const { body: product } = await create();
  const path = `/api/v1/products/${product.id}`;
  const first = await shop.request('GET', path);
  const etag = first.headers.get('etag')!;
  t.match(etag, /^"[\w-]+"$/);
  t.equal(first.headers.get('content-type'), 'application/json; charset=utf-8');
  for (const has of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
    const { status, body, headers } = await shop.request('GET', path, { headers: { 'if-none-match': has } });
    t.equal(status, 304, has);
    t.equal(body, '');
    t.equal(headers.get('etag'), etag);
  }
  t.equal((await shop.request('GET', path, { headers: { 'if-none-match': '"other"' } })).status, 200);
  await shop.request('PATCH', path, { token, body: { name: 'Other lamp' } });
  const again = await shop.request('GET', path, { headers: { 'if-none-match': etag } });
  t.equal(again.status, 200);
  t.not(again.headers.get('etag'), etag);
  t.equal((await shop.request('GET', `/api/v1/products/${UNKNOWN}`, { headers: { 'if-none-match': '*' } })).status, 404);
});

t.test('lists go through all products once in each order, whatever is added meanwhile', async (t) => {
  const shelf = await category('Sorted');
  const wanted = [['banana', 300], ['Apple', 100], ['cherry', 200], ['apple', 200], ['Éclair', 50]] as const;
  const ids: string[] = [];
  for (const [name, amount] of wanted) ids.push((await create({ ...lamp, name, price: { amount, currency: 'USD' }, categoryId: shelf })).body.id);
  const base = `/api/v1/products?categoryId=${shelf}&`;
  t.same((await walk(base)).map(({ id }) => id), ids.toReversed(), 'newest first is the default');
  t.same((await walk(`${base}sort=price&`)).map(({ price }) => price.amount), [50, 100, 200, 200, 300]);
  t.same((await walk(`${base}sort=-price&`)).map(({ price }) => price.amount), [300, 200, 200, 100, 50]);
  t.same((await walk(`${base}sort=name&`)).slice(0, 4).map(({ name }) => name.toLowerCase()), ['apple', 'apple', 'banana', 'cherry']);
  for (const sort of ['newest', 'price', '-price', 'name']) {
    const seen = (await walk(`${base}sort=${sort}&`, async () => void (await create({ ...lamp, name: 'Date', categoryId: shelf })))).map(({ id }) => id);
    t.equal(new Set(seen).size, seen.length, `${sort}: none twice`);
    t.ok(ids.every((id) => seen.includes(id)), `${sort}: none missing`);
  }
  const everything = (await walk('/api/v1/products?')).map(({ id }) => id);
  t.ok(ids.every((id) => everything.includes(id)));
});

t.test('a list by name goes on after the longest names that there are', async (t) => {
  const longNames = await category('Long names');
  const names = ['一', '丁', '\u{20000}'].map((character) => character.repeat(200));
  for (const name of names) t.equal((await create({ ...lamp, name, categoryId: longNames })).status, 201);
  t.same((await walk(`/api/v1/products?categoryId=${longNames}&sort=name&`)).map(({ name }) => name).sort(), names.sort());
});

t.test('cursors of another list, and what was never one, are refused', async (t) => {
  for (let i = 0; i < 2; i += 1) await create();
  const { body } = await shop.request('GET', '/api/v1/products?limit=1&sort=price');
  const forged = ['[]', '["newest","x","y"]', `["newest",1e999,"${UNKNOWN}"]`, `["newest",9e15,"${UNKNOWN}"]`, '["newest",1,"no id"]'];
  for (const cursor of [body.nextCursor, 'nonsense', ...forged.map(btoa)]) t.equal((await shop.request('GET', `/api/v1/products?cursor=${encodeURIComponent(cursor)}`)).status, 400, cursor);
  const elsewhere: [string, string][] = [
    ['/api/v1/products?sort=name&', `["name","\\u0000","${UNKNOWN}"]`],
    ['/api/v1/products?sort=name&', `["name",1,"${UNKNOWN}"]`],
    ['/api/v1/categories?', '["\\u0000"]'],
    ['/api/v1/products/search?q=lamp&', '[1e999,"no id"]'],
  ];
  for (const [path, cursor] of elsewhere) {
    t.equal((await shop.request('GET', `${path}cursor=${encodeURIComponent(btoa(cursor))}`)).status, 400, `${path} ${cursor}`);
  }
  for (const query of ['limit=0', 'limit=101', 'limit=x', 'sort=colour', 'categoryId=x', 'page=2']) {
    t.equal((await shop.request('GET', `/api/v1/products?${query}`)).status, 400, query);
  }
  t.equal((await shop.request('GET', '/api/v1/products/not-an-id')).status, 400);
});

t.test('a category without products, known or not, lists nothing', async (t) => {
  t.same((await shop.request('GET', `/api/v1/products?categoryId=${UNKNOWN}`)).body, { items: [], nextCursor: null });
});

t.test('other modules see the products that can be ordered', async (t) => {
  const [first, second, gone] = [(await create()).body, (await create()).body, (await create()).body];
  await shop.request('DELETE', `/api/v1/products/${gone.id}`, { token });
  const ids = [second.id, first.id.toUpperCase(), first.id, gone.id, UNKNOWN];
  const byId = (items: readonly { id: string }[]) => items.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  for (const attempt of ['cold', 'warm']) {
    const { items } = await client.getProducts({ ids }, shop.call());
    t.same(byId(items), byId([first, second]), attempt);
  }
  t.same(await client.getProduct({ id: first.id }, shop.call()), first);
  await t.rejects(client.getProduct({ id: gone.id }, shop.call()), { code: 'PRODUCT_NOT_FOUND' });
  t.ok(isRefusal(await client.getProduct({ id: UNKNOWN }, shop.call()).catch((error: unknown) => error), catalog, 'PRODUCT_NOT_FOUND'));
});

t.test('all products can be read page by page, oldest first', async (t) => {
  const created = [(await create()).body.id, (await create()).body.id, (await create()).body.id];
  const ids: string[] = [];
  for (let after: string | undefined; ; after = ids.at(-1)) {
    const { items } = await client.listProducts({ limit: 2, ...(after && { after }) }, shop.call());
    if (items.length === 0) break;
    ids.push(...items.map(({ id }) => id));
  }
  t.same(ids.slice(-3), created);
  t.equal(new Set(ids).size, ids.length);
});

import t from 'tap';
import { testShop } from '#testing';
import { demoShelves } from './demo-data.ts';
import { wordsOf } from './search.ts';

const shop = await testShop(t, { settings: { SEED_DEMO: 'true' } });
const demo = demoShelves.flatMap(({ products }) => products);

async function found(query: string, limit = 20): Promise<string[]> {
  const { status, body } = await shop.request('GET', `/api/v1/products/search?limit=${limit}&q=${encodeURIComponent(query)}`);
  if (status !== 200) throw new Error(`a search for ${query} answered ${status}`);
  return body.items.map(({ name }: { name: string }) => name);
}

t.test('the demo shop has at least 200 products in categories, each with its event', async (t) => {
  const { body } = await shop.request('GET', '/api/v1/categories?limit=100');
  t.same(body.items.map(({ name }: { name: string }) => name), demoShelves.map(({ category }) => category).sort());
  const [{ products, events }] = (await shop.sql('catalog', `select (select count(*)::int from product where category_id is not null) as products,
    (select count(*)::int from catalog_outbox.job where data->>'type' = 'catalog.product-created.v1') as events`)) as [{ products: number; events: number }];
  t.ok(products >= 200);
  t.equal(products, demo.length);
  t.equal(events, demo.length);
  t.equal(new Set(demo.map(({ name }) => name)).size, demo.length, 'no name twice');
  t.ok(demo.every(({ price, description }) => Number.isInteger(price) && price >= 100 && description.length >= 20));
});

t.test('every product is found by its own name, among the first five', async (t) => {
  const missed = [];
  for (const { name } of demo) if (!(await found(name, 5)).includes(name)) missed.push(name);
  t.same(missed, []);
});

t.test('a word in the name counts more than one in the description', async (t) => {
  const lamps = await found('lamp', 100);
  const inName = lamps.map((name) => /lamp/i.test(name));
  t.ok(inName.includes(true) && inName.includes(false), 'there are both');
  t.ok(inName.lastIndexOf(true) < inName.indexOf(false), 'all with the word in their names come first');
});

t.test('stems match', async (t) => {
  const blankets = await found('blanket');
  t.ok(blankets.length >= 2);
  t.same(await found('blankets'), blankets);
  t.ok((await found('run')).includes('Running Shoes'));
  t.ok((await found('knives and forks')).length === 0, 'all words must occur');
});

t.test('a typo is forgiven: a letter too many, too few, wrong or swapped', async (t) => {
  const typos: Record<string, string> = {
    hedphones: 'Studio Headphones, Closed',
    headphoness: 'Studio Headphones, Closed',
    keybord: 'Mechanical Keyboard, Compact',
    lmap: 'Architect Desk Lamp',
    lemp: 'Architect Desk Lamp',
    blankt: 'Merino Throw Blanket',
    telescpoe: 'Telescope for Beginners',
    backpak: 'Hiking Backpack, 40 litres',
    'cofee grindr': 'Burr Coffee Grinder',
    'wireles hedphones': 'Wireless Headphones, Noise Cancelling',
    headph: 'Studio Headphones, Closed',
  };
  for (const [typo, meant] of Object.entries(typos)) t.ok((await found(typo)).includes(meant), `${typo} finds ${meant}`);
});

t.test('who makes no slip asks the database once', async (t) => {
  const { pool } = shop.module('catalog').db;
  const statements = t.capture(pool, 'query', pool.query);
  t.ok((await found('ceramic', 7)).length > 0);
  t.equal(statements().length, 1);
  t.ok((await found('ceramicc', 7)).length > 0);
  t.equal(statements().length, 3, 'and a slip two times more');
  await found('ceramic telescope', 7);
  t.equal(statements().length, 2, 'or once, where the words are those of other products');
});

t.test('what means nothing finds nothing, and nothing breaks the search', async (t) => {
  const odd = ["' or 1=1 --", 'lamp & !table | (', '%_\\', ':*', '<->', 'ⅷ 𝔘𝔫𝔦𝔠𝔬𝔡𝔢', '\ud83e\udd94'];
  const queries = ['xyzzyqwert', 'the', '!!!', ...odd, `${'long '.repeat(39)}lamp`, 'x'.repeat(200)];
  for (const query of queries) await found(query);
  t.same(await found('xyzzyqwert'), []);
  t.same(await found('!!!'), []);
  t.same(await found("lamp's"), await found('lamp s'));
  for (const query of ['', ' ', 'x'.repeat(201), 'nul\0']) {
    t.equal((await shop.request('GET', `/api/v1/products/search?q=${encodeURIComponent(query)}`)).status, 400, JSON.stringify(query));
  }
  t.equal((await shop.request('GET', '/api/v1/products/search')).status, 400);
});

t.test('results come page by page, each once, in the order of one page', async (t) => {
  const whole = await found('steel', 100);
  t.ok(whole.length > 10);
  const paged: string[] = [];
  for (let cursor = ''; ; ) {
    const { body } = await shop.request('GET', `/api/v1/products/search?q=steel&limit=4${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    paged.push(...body.items.map(({ name }: { name: string }) => name));
    if (!body.nextCursor) break;
    cursor = body.nextCursor;
  }
  t.same(paged, whole);
});

t.test('changes show at once: new names are found, old ones and deleted products are not', async (t) => {
  const { token } = await shop.admin();
  t.same(await found('zeppelin'), []);
  const product = await shop.product({ name: 'Model zeppelin' });
  t.same(await found('zepelin'), ['Model zeppelin'], 'a typo in a word that is new');
  await shop.request('PATCH', `/api/v1/products/${product.id}`, { token, body: { name: 'Model balloon' } });
  t.same(await found('zeppelin'), []);
  t.same(await found('ballon'), ['Model balloon']);
  await shop.request('DELETE', `/api/v1/products/${product.id}`, { token });
  t.same(await found('balloon'), []);
});

t.test('the words of a query are letters and digits, each once, at most ten', async (t) => {
  t.same(wordsOf('  USB-C  usb_hub, 3.5mm Größe! '), ['usb', 'c', 'hub', '3', '5mm', 'größe']);
  t.same(wordsOf('ﬁne'), ['fine']);
  t.same(wordsOf('…'), []);
  t.equal(wordsOf('a b c d e f g h i j k l').length, 10);
  t.equal(wordsOf('x'.repeat(200))[0]!.length, 40);
});

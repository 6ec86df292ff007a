/** Puts the demo products into an empty catalog, in a handful of statements. */
import { type Transaction, uuidv7 } from '#kernel';
import { catalog } from './contract.ts';
import { demoShelves } from './demo-data.ts';
import { learnWords } from './search.ts';

interface DemoProduct {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly price: number;
  readonly categoryId: string;
}

const CURRENCY = 'USD';

/** @returns whether there was nothing before */
export async function seedDemo(tx: Transaction): Promise<boolean> {
  const [taken] = await tx.sql('select 1 from product limit 1');
  if (taken) return false;
  const categories = await addCategories(tx);
  const shelves = demoShelves.map((shelf) => shelf.products.map((product) => ({ ...product, categoryId: categories.get(shelf.category)! })));
  const products = inTurn(shelves).map((product) => ({ id: uuidv7(), ...product }));
  await addProducts(tx, products);
  await learnWords(tx, products.map(({ name, description }) => `${name} ${description}`));
  for (const { id, name, price } of products) {
    tx.publish(catalog.events.productCreated, { productId: id, name, price: { amount: price, currency: CURRENCY } });
  }
  return true;
}

/** Somebody may have added categories by hand before. */
async function addCategories(tx: Transaction): Promise<Map<string, string>> {
  const names = demoShelves.map(({ category }) => category);
  const rows = await tx.sql<{ id: string; name: string }>(
    `insert into category (id, name, created_at) select id, name, now() from unnest($1::uuid[], $2::text[]) as shelf (id, name)
     on conflict ((lower(name))) do update set name = excluded.name returning id, name`,
    [names.map(() => uuidv7()), names],
  );
  return new Map(rows.map(({ id, name }) => [name, id]));
}

async function addProducts(tx: Transaction, products: readonly DemoProduct[]): Promise<void> {
  await tx.sql(
    `insert into product (id, name, description, price_amount, price_currency, category_id, created_at, updated_at)
     select id, name, description, price, $6, category_id, now(), now()
     from unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::uuid[]) as demo (id, name, description, price, category_id)`,
    [...(['id', 'name', 'description', 'price', 'categoryId'] as const).map((column) => products.map((product) => product[column])), CURRENCY],
  );
}

/** One of each list in turn, so that the newest products are not all of a kind. */
function inTurn<T>(lists: readonly (readonly T[])[]): T[] {
  const longest = Math.max(...lists.map((list) => list.length));
  return Array.from({ length: longest }, (_, index) => lists.flatMap((list) => list.slice(index, index + 1))).flat();
}

/**
 * What a shop is asked to see whether its size matters. The same rule draws the requests for a small shop and for a large one,
 * and from so many different ones that most of them are answered from the database: a page that is in memory says nothing.
 */
import type { Request } from 'autocannon';
import pg from 'pg';

export const QUESTIONS = ['product by id, any', 'product by id, as customers want them', 'list', 'search for one thing', 'search for a kind of thing', 'POST /orders'] as const;
export type Question = (typeof QUESTIONS)[number];

/** What requests are made of. */
export interface Goods {
  readonly productIds: readonly string[];
  /** Words of the names of some products, as they stand there. */
  readonly names: readonly (readonly string[])[];
  /** Pages of lists in every order, of every category and of all, from the first one on, each of full length. */
  readonly pages: readonly string[];
  /** Of customers. */
  readonly tokens: readonly string[];
}

const SAMPLE = 2_000;
const PAGE = 10;
/** As many as all lists of the demo's products have. */
const MOST_PAGES = 20;
const SORTS = ['newest', 'price', '-price', 'name'];
const API = '/api/v1';
const SHORTEST_WORD = 4;
/** Words that are in no index. */
const STOP = new Set(['with', 'from', 'each']);

export async function goodsOf(url: string, databaseUrl: string, productIds: readonly string[], tokens: readonly string[]): Promise<Goods> {
  const sample = Array.from({ length: SAMPLE }, () => any(productIds));
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const { rows } = await client.query<{ name: string }>('select name from catalog.product where id = any ($1::uuid[])', [sample]);
  const { rows: categories } = await client.query<{ id: string }>('select id from catalog.category');
  await client.end();
  const names = rows.map(({ name }) => wordsIn(name)).filter(({ length }) => length > 2);
  return { productIds, names, pages: await pagesOf(url, categories.map(({ id }) => id)), tokens };
}

export function request(question: Question, goods: Goods): Request {
  const { productIds } = goods;
  switch (question) {
    case 'product by id, any':
      return get(`/products/${any(productIds)}`);
    case 'product by id, as customers want them':
      return get(`/products/${popular(productIds)}`);
    case 'list':
      return get(any(goods.pages));
    case 'search for one thing':
      return search(any(goods.names), 'first and another');
    case 'search for a kind of thing':
      return search(any(goods.names), 'two of the last');
    case 'POST /orders':
      return order(goods);
  }
}

/** The first word of a name is the brand in the large shop; the last ones say what the thing is. */
function search(name: readonly string[], which: 'first and another' | 'two of the last'): Request {
  const words = which === 'first and another' ? [name[0]!, any(name.slice(1))] : name.slice(-2);
  return get(`/products/search?q=${encodeURIComponent(words.join(' '))}`);
}

function order({ productIds, tokens }: Goods): Request {
  const items = [...new Set([popular(productIds), popular(productIds)])].map((productId) => ({ productId, quantity: 1 }));
  const shippingAddress = { name: 'Ada Lovelace', line1: '12 Analytical Row', city: 'London', postalCode: 'W1 2AB', country: 'GB' };
  return { method: 'POST', path: `${API}/orders`, headers: { 'content-type': 'application/json', authorization: `Bearer ${any(tokens)}` }, body: JSON.stringify({ items, shippingAddress }) };
}

function get(path: string): Request {
  return { method: 'GET', path: `${API}${path}` };
}

async function pagesOf(url: string, categories: readonly string[]): Promise<string[]> {
  const lists = SORTS.flatMap((sort) => ['', ...categories.map((id) => `&categoryId=${id}`)].map((category) => `/products?limit=${PAGE}&sort=${sort}${category}`));
  const pages: string[] = [];
  for (const list of lists) pages.push(...(await pagesOfList(url, list)));
  return pages;
}

async function pagesOfList(url: string, list: string): Promise<string[]> {
  const pages: string[] = [];
  let path: string | undefined = list;
  while (path !== undefined && pages.length < MOST_PAGES) {
    const response: Response = await fetch(`${url}${API}${path}`);
    if (!response.ok) throw new Error(`${path} was answered ${response.status}: ${await response.text()}`);
    const { items, nextCursor } = (await response.json()) as { items: unknown[]; nextCursor: string | null };
    if (items.length === PAGE) pages.push(path);
    path = nextCursor === null ? undefined : `${list}&cursor=${nextCursor}`;
  }
  return pages;
}

function wordsIn(name: string): string[] {
  return (name.match(/\p{L}+/gu) ?? []).filter((word) => word.length >= SHORTEST_WORD && !STOP.has(word.toLowerCase()));
}

function any<T>(values: readonly T[]): T {
  return values[Math.floor(Math.random() * values.length)]!;
}

/** Customers want few things often and many things rarely: the product of rank n with a probability of about 1/n (Zipf). */
function popular(productIds: readonly string[]): string {
  return productIds[Math.floor(productIds.length ** Math.random()) - 1]!;
}

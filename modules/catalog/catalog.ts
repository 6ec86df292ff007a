/**
 * The products of the shop. Reads come from two caches that agree among all processes: `products` by id, and
 * `pages`, the first pages of lists and searches as they are sent.
 *
 * Each write is one transaction, event included, and forgets what it may have changed before it is answered. It does so
 * too when it failed: the commit may have happened though its confirmation got lost. Only a process that dies between
 * commit and answer leaves something to the caches' time to live.
 */
import { LockMode } from '@mikro-orm/core';
import {
  among,
  type CacheFactory,
  type Call,
  type Database,
  decodeCursor,
  encodeCursor,
  type Operations,
  type ReadCache,
  refuse,
  type Transaction,
} from '#kernel';
import { Categories } from './categories.ts';
import { CategorySchema } from './category.ts';
import { catalog } from './contract.ts';
import { columns, foreignCursor, isId, listProducts, type ListQuery } from './listing.ts';
import {
  factsOf,
  newProduct,
  type Product,
  type ProductDraft,
  ProductSchema,
  type ProductView,
  productView,
  saysSomethingNew,
} from './product.ts';
import { learnWords, type Rank, search, wordsOf } from './search.ts';
import { seedDemo } from './seed.ts';
import { serve, type Served } from './served.ts';

/** Whoever asks. The call is looked at where the database is: most answers come from memory, and it costs a microsecond to make. */
export interface Asking {
  readonly call: Call;
}

export interface SearchQuery {
  readonly q: string;
  readonly limit: number;
  readonly cursor: string | undefined;
}

/** How long a cache may be wrong after a process died in the middle of a write. */
const TTL_MS = 10_000;
/** Some 2 KB each. */
const MAX_PRODUCTS = 5_000;
const MAX_PAGES = 200;
/** Larger pages are rare, and one may take up half a megabyte. */
const MAX_CACHED_LIMIT = 50;

export class Catalog {
  readonly operations: Operations<typeof catalog>;
  readonly categories: Categories;
  readonly #db: Database;
  readonly #products: ReadCache<Served | undefined>;
  readonly #pages: ReadCache<string>;

  constructor({ db, caches }: { readonly db: Database; readonly caches: CacheFactory }) {
    this.#db = db;
    this.#products = caches.create('products', { max: MAX_PRODUCTS, ttlMs: TTL_MS });
    this.#pages = caches.create('pages', { max: MAX_PAGES, ttlMs: TTL_MS });
    this.categories = new Categories(db, this.#pages);
    this.operations = {
      getProducts: async ({ ids }, call) => ({ items: await this.#find(ids, call) }),
      getProduct: async ({ id }, call) => (await this.product(id, { call })).product,
      listProducts: async ({ limit, after }, call) => ({ items: await this.#allAfter(after, limit, call) }),
    };
  }

  /** The product if it is in the cache: for the hot path, without a promise. */
  peek(id: string): Served | undefined {
    return this.#products.peek(id);
  }

  /** @throws ContractError PRODUCT_NOT_FOUND */
  async product(id: string, asking: Asking): Promise<Served> {
    const key = id.toLowerCase();
    const served = await this.#products.get(key, async () => (await this.#load([key], asking.call)).get(key));
    if (!served) throw unknownProduct(id);
    return served;
  }

  /**
   * A page of products, as JSON.
   * @throws CallError VALIDATION_FAILED for a cursor of another list
   */
  async list(query: ListQuery, asking: Asking): Promise<string> {
    const key = `list ${query.sort} ${query.categoryId?.toLowerCase() ?? ''} ${query.limit}`;
    return this.#page(key, query, async () => {
      const { rows, nextCursor } = await listProducts(this.#db.for(asking.call), query);
      return page(rows, nextCursor);
    });
  }

  /**
   * A page of what was found, best first, as JSON.
   * @throws CallError VALIDATION_FAILED for a cursor of another list
   */
  async search(query: SearchQuery, asking: Asking): Promise<string> {
    const words = wordsOf(query.q);
    return this.#page(`search ${words.join(' ')} ${query.limit}`, query, async () => {
      const found = await search(this.#db.for(asking.call), words, query.limit + 1, rankOf(query.cursor));
      const last = found.length > query.limit ? found[query.limit - 1] : undefined;
      return page(found.slice(0, query.limit), last ? encodeCursor([last.rank, last.id]) : null);
    });
  }

  /** @throws ContractError CATEGORY_NOT_FOUND */
  async create(draft: ProductDraft, call: Call): Promise<ProductView> {
    const product = newProduct(draft);
    return this.#write(product.id, call, async (tx) => {
      await requireCategory(tx, product.categoryId);
      tx.em.create(ProductSchema, { ...product, deletedAt: null });
      await tx.em.flush();
      await learnWords(tx, [`${product.name} ${product.description}`]);
      tx.publish(catalog.events.productCreated, eventOf(product));
      return productView(product);
    });
  }

  /**
   * Concurrent changes of one product follow each other, so none is lost. A change that changes nothing is no event.
   * @throws ContractError PRODUCT_NOT_FOUND, CATEGORY_NOT_FOUND
   */
  async change(id: string, draft: Partial<ProductDraft>, call: Call): Promise<ProductView> {
    return this.#write(id, call, async (tx) => {
      const product = await lockProduct(tx, id);
      const facts = factsOf(draft);
      if (saysSomethingNew(product, facts)) {
        await requireCategory(tx, facts.categoryId);
        Object.assign(product, facts, { updatedAt: new Date() });
        await tx.em.flush();
        await learnWords(tx, [`${product.name} ${product.description}`]);
        tx.publish(catalog.events.productChanged, eventOf(product));
      }
      return productView(product);
    });
  }

  /**
   * The product is gone from lists and cannot be ordered; orders that name it are not touched.
   * @throws ContractError PRODUCT_NOT_FOUND
   */
  async remove(id: string, call: Call): Promise<void> {
    await this.#write(id, call, async (tx) => {
      const product = await lockProduct(tx, id);
      Object.assign(product, { deletedAt: new Date() });
      await tx.em.flush();
      tx.publish(catalog.events.productDeleted, { productId: product.id });
    });
  }

  /** Demo products, unless there are products already. */
  async seed(call: Call): Promise<void> {
    const seeded = await this.#db.transaction({ call }, async (tx) => seedDemo(tx));
    // Nobody waits for demo products, and the first seconds of a process are when confirmations take longest.
    if (seeded) this.#pages.invalidate().catch(() => undefined);
  }

  async #find(ids: readonly string[], call: Call): Promise<ProductView[]> {
    const keys = [...new Set(ids.map((id) => id.toLowerCase()))];
    const found = keys.map((key) => this.#products.peek(key));
    const missing = keys.filter((_, index) => !found[index]);
    if (missing.length === 0) return found.map((served) => served!.product);
    const loaded = await this.#findMissing(missing, call);
    return [...found, ...loaded].filter((served) => served !== undefined).map((served) => served.product);
  }

  /** One query for all that nobody else is loading already. What the cache loads later must be read later. */
  async #findMissing(keys: readonly string[], call: Call): Promise<(Served | undefined)[]> {
    let isNow = true;
    let loading: Promise<Map<string, Served>> | undefined;
    const load = async (key: string) => (await (isNow ? (loading ??= this.#load(keys, call)) : this.#load([key], call))).get(key);
    const found = keys.map(async (key) => this.#products.get(key, async () => load(key)));
    isNow = false;
    return Promise.all(found);
  }

  async #load(ids: readonly string[], call: Call): Promise<Map<string, Served>> {
    const { condition, param } = among('id', ids);
    const products = await this.#db.for(call).sql<Product>(`select ${columns} from product where ${condition} and deleted_at is null`, [param]);
    return new Map(products.map((product) => [product.id, serve(productView(product))]));
  }

  async #allAfter(after: string | undefined, limit: number, call: Call): Promise<ProductView[]> {
    const products = await this.#db.for(call).sql<Product>(
      `select ${columns} from product where deleted_at is null and id > $1::uuid order by id limit $2`,
      [after ?? FIRST, limit],
    );
    return products.map(productView);
  }

  async #page(key: string, { cursor, limit }: { cursor: string | undefined; limit: number }, load: () => Promise<string>): Promise<string> {
    return cursor === undefined && limit <= MAX_CACHED_LIMIT ? this.#pages.get(key, load) : load();
  }

  async #write<T>(id: string, call: Call, work: (tx: Transaction) => Promise<T>): Promise<T> {
    try {
      return await this.#db.transaction({ call }, work);
    } finally {
      await Promise.all([this.#products.invalidate([id.toLowerCase()]), this.#pages.invalidate()]);
    }
  }
}

/** Sorts before every id. */
const FIRST = '00000000-0000-0000-0000-000000000000';

async function lockProduct(tx: Transaction, id: string): Promise<Product> {
  const product = await tx.em.findOne(ProductSchema, { id, deletedAt: null }, { lockMode: LockMode.PESSIMISTIC_WRITE });
  if (!product) throw unknownProduct(id);
  return product;
}

async function requireCategory(tx: Transaction, id: string | null | undefined): Promise<void> {
  if (id && !(await tx.em.findOne(CategorySchema, { id }))) throw refuse(catalog, 'CATEGORY_NOT_FOUND', `there is no category ${id}`, { categoryId: id });
}

function unknownProduct(id: string) {
  return refuse(catalog, 'PRODUCT_NOT_FOUND', `there is no product ${id}`, { productId: id });
}

function eventOf(product: Product) {
  return { productId: product.id, name: product.name, price: { amount: product.priceAmount, currency: product.priceCurrency } };
}

function page(rows: readonly Product[], nextCursor: string | null): string {
  return JSON.stringify({ items: rows.map(productView), nextCursor });
}

function rankOf(cursor: string | undefined): Rank | undefined {
  const key = decodeCursor(cursor, ['number', 'string']);
  if (!key) return undefined;
  if (!Number.isFinite(key[0]) || !isId(key[1]!)) throw foreignCursor();
  return { rank: Number(key[0]), id: String(key[1]) };
}

/** The orders in which products are listed, each along an index, and the cursors that go on where a page ended. */
import { CallError, decodeCursor, encodeCursor, type Sql } from '#kernel';
import type { Product } from './product.ts';

/** A product's columns under the names that the code uses. */
export const columns = `id, name, description, price_amount as "priceAmount", price_currency as "priceCurrency",
  category_id as "categoryId", created_at as "createdAt", updated_at as "updatedAt"`;

export const sorts = ['newest', 'price', '-price', 'name'] as const;
export type Sort = (typeof sorts)[number];

export interface ListQuery {
  readonly sort: Sort;
  readonly categoryId: string | undefined;
  readonly limit: number;
  readonly cursor: string | undefined;
}

export interface Page<R> {
  readonly rows: readonly R[];
  readonly nextCursor: string | null;
}

type SortKey = string | number;
type Listed = Product & { readonly sortKey: SortKey };

interface Order {
  /** What is sorted by; the id comes second. */
  readonly by: string;
  readonly descending: boolean;
  /** The value as a cursor carries it, in SQL, and the way back. */
  readonly key: string;
  value(parameter: string): string;
  /** Whether it can have been ours and PostgreSQL will take it. */
  isKey(key: SortKey): boolean;
}

const LAST_TIME_MS = 8.64e15;
const price: Order = {
  by: 'price_amount',
  descending: false,
  key: 'price_amount',
  value: (parameter) => `${parameter}::bigint`,
  isKey: Number.isSafeInteger,
};

const orders: Readonly<Record<Sort, Order>> = {
  newest: {
    by: 'created_at',
    descending: true,
    key: '(extract(epoch from created_at) * 1000)::bigint',
    value: (parameter) => `to_timestamp(${parameter}::float8 / 1000)`,
    isKey: (key) => Number.isSafeInteger(key) && Number(key) >= 0 && Number(key) <= LAST_TIME_MS,
  },
  price,
  '-price': { ...price, descending: true },
  name: { by: 'lower(name)', descending: false, key: 'lower(name)', value: (parameter) => `${parameter}::text`, isKey: isText },
};

/**
 * One page of the products that are not deleted.
 * @throws CallError VALIDATION_FAILED for a cursor of another list
 */
export async function listProducts(db: Sql, query: ListQuery): Promise<Page<Product>> {
  const order = orders[query.sort];
  const after = cursorOf(query, order);
  const params = [query.limit + 1, ...(query.categoryId === undefined ? [] : [query.categoryId]), ...(after ?? [])];
  const rows = await db.sql<Listed>(statement(order, query.categoryId !== undefined, after !== undefined), params);
  const page = rows.slice(0, query.limit);
  const last = rows.length > query.limit ? page.at(-1)! : undefined;
  return { rows: page, nextCursor: last ? encodeCursor([query.sort, last.sortKey, last.id]) : null };
}

/** Of the 16 statements that there are each is prepared once, and none has a condition that keeps it from its index. */
function statement({ by, descending, key, value }: Order, ofCategory: boolean, goesOn: boolean): string {
  const [direction, beyond] = descending ? ['desc', '<'] : ['asc', '>'];
  const [afterKey, afterId] = ofCategory ? ['$3', '$4'] : ['$2', '$3'];
  return `select ${columns}, ${key} as "sortKey" from product where deleted_at is null
    ${ofCategory ? 'and category_id = $2' : ''} ${goesOn ? `and (${by}, id) ${beyond} (${value(afterKey)}, ${afterId}::uuid)` : ''}
    order by ${by} ${direction}, id ${direction} limit $1`;
}

function cursorOf({ cursor, sort }: ListQuery, order: Order): SortKey[] | undefined {
  if (cursor === undefined) return undefined;
  const [of, key, id] = decodeCursor(cursor, ['string', sort === 'name' ? 'string' : 'number', 'string'])!;
  if (of !== sort || !order.isKey(key!) || !isId(id!)) throw foreignCursor();
  return [key!, id!];
}

/** A cursor that was not made by the list that gets it. */
export function foreignCursor(): CallError {
  const errors = [{ path: '/cursor', message: 'must be a nextCursor of this list with the same sort' }];
  return new CallError('VALIDATION_FAILED', 'the cursor is not one of this list', { errors });
}

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function isId(value: SortKey): boolean {
  return typeof value === 'string' && ID.test(value);
}

/** PostgreSQL keeps no NUL characters. */
export function isText(value: SortKey): boolean {
  return typeof value === 'string' && !value.includes('\0');
}

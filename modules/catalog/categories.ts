/** The shelves of the shop. */
import { type Call, type Database, decodeCursor, encodeCursor, type ReadCache, refuse, uuidv7 } from '#kernel';
import { type Category, type CategoryView, categoryView } from './category.ts';
import { catalog } from './contract.ts';
import { foreignCursor, isText } from './listing.ts';

export interface CategoriesQuery {
  readonly limit: number;
  readonly cursor: string | undefined;
}

type Listed = Category & { readonly sortKey: string };

export class Categories {
  readonly #db: Database;
  readonly #pages: ReadCache<string>;

  constructor(db: Database, pages: ReadCache<string>) {
    this.#db = db;
    this.#pages = pages;
  }

  /**
   * A page of categories by name, as JSON.
   * @throws CallError VALIDATION_FAILED for a cursor of another list
   */
  async list({ limit, cursor }: CategoriesQuery, asking: { readonly call: Call }): Promise<string> {
    const load = async () => this.#load(limit, after(cursor), asking.call);
    return cursor === undefined ? this.#pages.get(`categories ${limit}`, load) : load();
  }

  /** @throws ContractError CATEGORY_NAME_TAKEN, whatever the case */
  async add(name: string, call: Call): Promise<CategoryView> {
    try {
      return await this.#db.transaction({ call }, async (tx) => {
        const [category] = await tx.sql<Category>(
          `insert into category (id, name, created_at) values ($1, $2, now())
           on conflict ((lower(name))) do nothing returning id, name, created_at as "createdAt"`,
          [uuidv7(), name.trim()],
        );
        if (!category) throw refuse(catalog, 'CATEGORY_NAME_TAKEN', `there is a category named ${name.trim()} already`);
        return categoryView(category);
      });
    } finally {
      await this.#pages.invalidate();
    }
  }

  async #load(limit: number, beyond: string, call: Call): Promise<string> {
    const rows = await this.#db.for(call).sql<Listed>(
      'select id, name, created_at as "createdAt", lower(name) as "sortKey" from category where lower(name) > $1 order by lower(name) limit $2',
      [beyond, limit + 1],
    );
    const page = rows.slice(0, limit);
    return JSON.stringify({ items: page.map(categoryView), nextCursor: rows.length > limit ? encodeCursor([page.at(-1)!.sortKey]) : null });
  }
}

function after(cursor: string | undefined): string {
  const [name] = decodeCursor(cursor, ['string']) ?? [''];
  if (!isText(name!)) throw foreignCursor();
  return String(name);
}

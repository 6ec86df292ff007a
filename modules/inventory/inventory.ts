/** The stock of all products: what orders reserve of it, and what administrators set. */
import { LockMode } from '@mikro-orm/core';
import {
  type Call,
  type Client,
  type Database,
  type DeepReadonly,
  isRefusal,
  type Operations,
  type Output,
  refuse,
  type Transaction,
  uuidv7,
} from '#kernel';
import { catalog } from '../catalog/contract.ts';
import { type Adjustment, AdjustmentEntity } from './adjustment.ts';
import { inventory } from './contract.ts';
import { demoStock } from './demo-stock.ts';
import { Reservations } from './reservations.ts';
import { available, isMoreThanCanBeKept, type Level, MAX_ON_HAND, type Stock, StockEntity, stockStatus, wouldBreakPromises } from './stock.ts';

export type Availability = DeepReadonly<Output<typeof inventory.operations.getAvailability>>;

/** A product's stock as administrators see it. */
export interface StockView extends Level {
  readonly productId: string;
  readonly available: number;
  readonly status: Availability['status'];
}

/** Who changes stock by hand, and why. */
export interface Change {
  readonly productId: string;
  readonly actorId: string;
  readonly reason: string;
}

export interface InventoryParts {
  readonly db: Database;
  readonly catalog: Client<typeof catalog>;
  /** Stock of this many pieces or fewer is `low`. */
  readonly lowThreshold: number;
}

interface StockRow {
  available: number;
  discontinued: boolean;
}

const SEED_PAGE = 500;
/** The catalog answers from its cache as a rule; nobody waits longer for a second opinion. */
const CATALOG_MS = 250;

/** Products that were adjusted before keep their stock: an interrupted seed can be run again. */
const SEED = `
with line as (
  select * from unnest($1::uuid[], $2::bigint[], $3::uuid[]) as line (product_id, on_hand, adjustment_id)
  where not exists (select from adjustment where adjustment.product_id = line.product_id)
), stocked as (
  insert into stock (product_id, on_hand) select product_id, on_hand from line order by product_id
  on conflict (product_id) do update set on_hand = excluded.on_hand
)
insert into adjustment (id, product_id, delta, on_hand, reason)
select adjustment_id, product_id, on_hand, on_hand, 'demo stock' from line where on_hand > 0`;

export class Inventory {
  readonly reservations: Reservations;
  readonly operations: Operations<typeof inventory>;
  readonly #db: Database;
  readonly #catalog: Client<typeof catalog>;
  readonly #lowThreshold: number;

  constructor(parts: InventoryParts) {
    this.#db = parts.db;
    this.#catalog = parts.catalog;
    this.#lowThreshold = parts.lowThreshold;
    this.reservations = new Reservations(parts.db);
    this.operations = {
      getAvailability: async ({ productId }, call) => this.availability(productId, call),
      reserve: async (input, call) => this.reservations.reserve(input, call),
      commit: async ({ orderId }, call) => {
        await this.reservations.commit(orderId, call);
        return {};
      },
      release: async ({ orderId }, call) => {
        await this.reservations.release(orderId, call);
        return {};
      },
    };
  }

  /**
   * A product that the catalog has but nobody has stocked yet is out of stock, not unknown.
   * @throws ContractError PRODUCT_NOT_FOUND
   */
  async availability(productId: string, call: Call): Promise<Availability> {
    const row = await this.#require(productId, call);
    const pieces = row?.available ?? 0;
    return { productId: productId.toLowerCase(), available: pieces, status: stockStatus(pieces, this.#lowThreshold) };
  }

  /**
   * Sets what was counted on the shelf, reserved pieces included.
   * @throws ContractError PRODUCT_NOT_FOUND, STOCK_WOULD_GO_NEGATIVE
   */
  async setOnHand(change: Change, onHand: number, call: Call): Promise<StockView> {
    const { stock } = await this.#change(change, () => onHand, call);
    return stock;
  }

  /**
   * Adds to what is on hand, or takes away from it.
   * @throws ContractError PRODUCT_NOT_FOUND, STOCK_WOULD_GO_NEGATIVE, STOCK_TOO_LARGE
   */
  async adjust(change: Change, delta: number, call: Call): Promise<{ stock: StockView; adjustment: Adjustment }> {
    const { stock, adjustment } = await this.#change(change, (level) => level.onHand + delta, call);
    return { stock, adjustment: adjustment! };
  }

  /** A new product has a stock row from its first moment on, with nothing on hand. */
  async introduce(tx: Transaction, productId: string): Promise<void> {
    await tx.sql('insert into stock (product_id) values ($1) on conflict (product_id) do nothing', [productId]);
  }

  /** The row stays: orders of the product that are under way are still served from it. */
  async discontinue(tx: Transaction, productId: string): Promise<void> {
    await tx.sql(
      `insert into stock (product_id, discontinued_at) values ($1, now())
       on conflict (product_id) do update set discontinued_at = coalesce(stock.discontinued_at, excluded.discontinued_at)`,
      [productId],
    );
  }

  /** Puts believable stock on the shelf for every product of the catalog. */
  async seed(call: Call): Promise<void> {
    let position = 0;
    let after: string | undefined;
    for (;;) {
      const { items } = await this.#catalog.listProducts({ limit: SEED_PAGE, ...(after && { after }) }, call);
      if (items.length === 0) return;
      const start = position;
      await this.#db.for(call).sql(SEED, [items.map(({ id }) => id), items.map((_, i) => demoStock(start + i)), items.map(() => uuidv7())]);
      position += items.length;
      after = items.at(-1)!.id;
    }
  }

  async #change(change: Change, target: (level: Level) => number, call: Call): Promise<{ stock: StockView; adjustment: Adjustment | undefined }> {
    const known = await this.#require(change.productId, call);
    return this.#db.transaction({ call }, async (tx) => {
      if (!known) await this.introduce(tx, change.productId);
      const stock = await tx.em.findOneOrFail(StockEntity, { productId: change.productId }, { lockMode: LockMode.PESSIMISTIC_WRITE });
      const onHand = target(stock);
      refuseUnlessPossible(stock, onHand);
      const adjustment = onHand === stock.onHand ? undefined : record(tx, change, stock, onHand);
      return { stock: this.#view(stock), adjustment };
    });
  }

  /**
   * The product's stock, or nothing where only the catalog knows the product yet. The catalog is asked in any case, for the
   * event that a product is new, or gone, may still be on its way; while it does not answer at once, what is known here
   * counts. Where nothing is known here its word is needed, and has all the time that there is.
   */
  async #require(productId: string, call: Call): Promise<StockRow | undefined> {
    const [row, doubt] = await Promise.all([this.#find(productId, call), this.#askCatalog(productId, call.with({ timeoutMs: CATALOG_MS }))]);
    const failure = !row && doubt ? await this.#askCatalog(productId, call) : doubt;
    if (row?.discontinued || isRefusal(failure, catalog, 'PRODUCT_NOT_FOUND')) throw unknownProduct(productId);
    if (!row && failure) throw failure;
    return row;
  }

  async #find(productId: string, call: Call): Promise<StockRow | undefined> {
    const [row] = await this.#db.for(call).sql<StockRow>(
      'select on_hand - reserved as available, discontinued_at is not null as discontinued from stock where product_id = $1',
      [productId],
    );
    return row;
  }

  /** @returns what the catalog failed with, if it did */
  async #askCatalog(productId: string, call: Call): Promise<Error | undefined> {
    return this.#catalog.getProduct({ id: productId }, call).then(() => undefined, (error: Error) => error);
  }

  #view(stock: Stock): StockView {
    const { productId, onHand, reserved } = stock;
    const pieces = available(stock);
    return { productId, onHand, reserved, available: pieces, status: stockStatus(pieces, this.#lowThreshold) };
  }
}

function refuseUnlessPossible(level: Level, onHand: number): void {
  if (wouldBreakPromises(level, onHand)) {
    const detail = `${onHand} pieces would be on hand while ${level.reserved} are reserved; keep at least ${level.reserved}`;
    throw refuse(inventory, 'STOCK_WOULD_GO_NEGATIVE', detail, { onHand: level.onHand, reserved: level.reserved });
  }
  if (isMoreThanCanBeKept(onHand)) {
    throw refuse(inventory, 'STOCK_TOO_LARGE', `${onHand} pieces would be on hand; at most ${MAX_ON_HAND} can be`, { onHand: level.onHand });
  }
}

function record(tx: Transaction, change: Change, stock: Stock, onHand: number): Adjustment {
  const { actorId, reason } = change;
  const { productId } = stock;
  const delta = onHand - stock.onHand;
  const adjustment = tx.em.create(AdjustmentEntity, { id: uuidv7(), productId, delta, onHand, reason, actorId, createdAt: new Date() });
  tx.em.persist(adjustment);
  stock.onHand = onHand;
  tx.publish(inventory.events.stockChanged, { productId, onHand, reserved: stock.reserved, available: available(stock) });
  return adjustment;
}

function unknownProduct(productId: string): Error {
  return refuse(inventory, 'PRODUCT_NOT_FOUND', `there is no product ${productId}; check the id`, { productId });
}

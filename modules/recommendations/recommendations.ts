/** What is bought together with a product, as it can be ordered today. */
import { type Call, type Client, type Database, type DeepReadonly, type Output, refuse, type Sql } from '#kernel';
import type { catalog } from '../catalog/contract.ts';
import { recommendations } from './contract.ts';

export type Recommendation = Output<typeof recommendations.operations.getRecommendations>['items'][number];

export interface RecommendationsParts {
  readonly db: Database;
  readonly catalog: Client<typeof catalog>;
}

interface Companion {
  readonly productId: string;
  readonly boughtTogether: number;
}

type Product = DeepReadonly<Output<typeof catalog.operations.getProduct>>;

/** Beyond those that are wanted, in case that some cannot be ordered any more. */
const SPARE = 10;
/** The catalog is asked for so many at a time; one of them is the product itself. */
const MOST_AT_ONCE = 99;

/**
 * Best first; of two that were bought equally often, the newer product.
 * @throws ContractError PRODUCT_NOT_FOUND
 */
export async function recommend({ db, catalog: products }: RecommendationsParts, productId: string, limit: number, call: Call): Promise<Recommendation[]> {
  const size = Math.min(limit + SPARE, MOST_AT_ONCE);
  const found: Recommendation[] = [];
  let last: Companion | undefined;
  do {
    const companions = await bestCompanions(db.for(call), productId, size, last);
    found.push(...(await orderable(products, productId, companions, call)));
    last = companions.length === size ? companions.at(-1) : undefined;
  } while (last && found.length < limit);
  return found.slice(0, limit);
}

async function bestCompanions(db: Sql, productId: string, limit: number, after: Companion | undefined): Promise<Companion[]> {
  return db.sql<Companion & { [column: string]: unknown }>(
    `select companion_id as "productId", orders as "boughtTogether" from pair
     where counting_id = (select id from counting where status = 'current') and product_id = $1 and orders > 0
       and ($2::int is null or (orders, companion_id) < ($2, $3::uuid))
     order by orders desc, companion_id desc limit $4`,
    [productId, after?.boughtTogether ?? null, after?.productId ?? null, limit],
  );
}

/** Those that can be ordered, in their order. */
async function orderable(products: Client<typeof catalog>, productId: string, companions: readonly Companion[], call: Call): Promise<Recommendation[]> {
  const { items } = await products.getProducts({ ids: [productId, ...companions.map((companion) => companion.productId)] }, call);
  const known = new Map<string, Product>(items.map((product) => [product.id, product]));
  if (!known.has(productId.toLowerCase())) throw refuse(recommendations, 'PRODUCT_NOT_FOUND', `there is no product ${productId}`);
  return companions.flatMap(({ productId: id, boughtTogether }) => {
    const product = known.get(id);
    return product ? [{ productId: id, name: product.name, price: product.price, boughtTogether }] : [];
  });
}

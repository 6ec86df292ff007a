/**
 * The page of one product. Its parts are asked for at the same time, each for as long as the page can wait for it:
 *
 *   asked --answered in time--> shown
 *   asked --late, down or wrong--> replaced by its stand-in, and named in `degraded`
 *
 * The product alone is essential: without it the page fails, and the other parts are not waited for.
 */
import { type Actor, type Call, CallError, type Client, type Clients, isRefusal, type Output, refuse } from '#kernel';
import { catalog } from '../catalog/contract.ts';
import type { inventory } from '../inventory/contract.ts';
import type { recommendations } from '../recommendations/contract.ts';
import type { users } from '../users/contract.ts';
import { storefront } from './contract.ts';

/** How long a part is waited for, in ms; what a part falls back to loses less than a page that comes late. */
const PATIENCE_MS = { inventory: 1_000, recommendations: 500, viewer: 1_000 } as const;
export const parts = ['inventory', 'recommendations', 'viewer'] as const;
export type Part = (typeof parts)[number];

const RECOMMENDED = 8;

export type PageClients = Clients<{ catalog: typeof catalog; inventory: typeof inventory; recommendations: typeof recommendations; users: typeof users }>;

/**
 * @param viewer who looks at the page; null for somebody who has not signed in
 * @throws ContractError PRODUCT_NOT_FOUND
 * @throws CallError UNAVAILABLE or DEADLINE_EXCEEDED where the catalog does not tell of the product
 */
export async function productPage(clients: PageClients, productId: string, viewer: Actor | null, call: Call) {
  const vain = new AbortController();
  const page = call.with({ signal: vain.signal });
  const degraded = new Set<Part>();
  const ask = async <T, S>(part: Part, standIn: S, question: (call: Call) => Promise<T>): Promise<T | S> => {
    try {
      return await question(page.with({ timeoutMs: PATIENCE_MS[part] }));
    } catch {
      degraded.add(part);
      return standIn;
    }
  };
  const asked = Promise.all([
    ask('inventory', { status: 'unknown' as const }, async (inTime) => clients.inventory.getAvailability({ productId }, inTime)),
    ask('recommendations', [], async (inTime) => (await clients.recommendations.getRecommendations({ productId, limit: RECOMMENDED }, inTime)).items),
    viewer && ask('viewer', undefined, async (inTime) => viewerOf(await clients.users.getUser({ userId: viewer.id }, inTime))),
  ]);
  const product = await essential(clients.catalog, productId, page).catch((error: unknown) => {
    vain.abort();
    throw error;
  });
  const [stock, recommended, seenBy] = await asked;
  return { product, inventory: stock, recommendations: recommended, ...(seenBy && { viewer: seenBy }), degraded: parts.filter((part) => degraded.has(part)) };
}

function viewerOf({ id, username, role }: Output<typeof users.operations.getUser>) {
  return { id, username, role };
}

async function essential(client: Client<typeof catalog>, productId: string, call: Call) {
  try {
    return await client.getProduct({ id: productId }, call);
  } catch (error) {
    if (isRefusal(error, catalog, 'PRODUCT_NOT_FOUND')) throw refuse(storefront, 'PRODUCT_NOT_FOUND', `there is no product ${productId}`);
    // A catalog that answers nonsense is as good as none: its own log says what is wrong there.
    if (error instanceof CallError && error.code === 'INTERNAL') throw new CallError('UNAVAILABLE', `the catalog does not tell of the product ${productId}`, { cause: error });
    throw error;
  }
}

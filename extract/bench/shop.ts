/** The shop as the benchmark starts it, and what both sides need of it: data, customers, keys. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import pg from 'pg';
import { startCommand } from '../start-command.ts';
import type { Server } from './server.ts';
import { type Side, startSide } from './side.ts';

export interface Stage {
  /** Settings of a shop on a database: the defaults, but for what would stop a long benchmark half way. */
  settings(databaseUrl: string): Record<string, string>;
  /** Makes a database with the same contents as all others. @returns its connection string */
  database(name: string): Promise<string>;
  /** PEM; verifies the customers' tokens. */
  readonly publicKey: string;
  readonly productIds: readonly string[];
  /** Tokens of customers. */
  readonly tokens: readonly string[];
}

/** Registered in every database of the benchmark. */
export const CUSTOMERS = Array.from({ length: 8 }, (_, number) => ({ username: `customer${number + 1}`, password: 'a long enough password' }));
const FIRST = 'shop';

/** Has the shop make and fill a database, registers customers, and lays in more stock than can be sold. */
export async function setStage(server: Server): Promise<Stage> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2_048, privateKeyEncoding: { type: 'pkcs8', format: 'pem' }, publicKeyEncoding: { type: 'spki', format: 'pem' } });
  const settings = (databaseUrl: string) => ({
    DATABASE_URL: databaseUrl,
    DATABASE_ROLE_PREFIX: server.rolePrefix,
    PORT: '0',
    LOG_LEVEL: 'warn',
    RATE_LIMIT_PER_MINUTE: '0',
    JWT_PRIVATE_KEY: privateKey,
    ADMIN_PASSWORD: randomBytes(18).toString('base64url'),
    TOKEN_TTL_SECONDS: '86400',
    PAYMENT_TIMEOUT: '24h',
  });
  const first = await server.create(FIRST);
  const shop = await startShop(settings(first));
  const stage = { settings, publicKey, productIds: await productIdsOf(shop), tokens: await customersOf(shop), database: async (name: string) => server.create(name, FIRST) };
  await shop.stop();
  await layInStock(first);
  return stage;
}

/**
 * As `npm start` does.
 * @param profile folder for its CPU profile
 * @param name tells shops that run side by side apart
 */
export async function startShop(settings: Record<string, string>, profile?: string, name = 'cleave'): Promise<Side> {
  const { env, script } = startCommand();
  return startSide({ name, script, env: { ...env, ...settings }, profile });
}

async function productIdsOf(shop: Side): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | null = null;
  do {
    const page: { items: { id: string }[]; nextCursor: string | null } = await ask(shop, 'GET', `/products?limit=100${cursor ? `&cursor=${cursor}` : ''}`);
    ids.push(...page.items.map(({ id }) => id));
    cursor = page.nextCursor;
  } while (cursor !== null);
  return ids;
}

async function customersOf(shop: Side): Promise<string[]> {
  const tokens: string[] = [];
  for (const { username, password } of CUSTOMERS) {
    await ask(shop, 'POST', '/users', { username, email: `${username}@example.com`, password });
    const { token } = await ask<{ token: string }>(shop, 'POST', '/users/authenticate', { username, password });
    tokens.push(token);
  }
  return tokens;
}

async function ask<T>(shop: Side, method: string, path: string, body?: unknown): Promise<T> {
  const response = await fetch(`${shop.url}/api/v1${path}`, { method, ...(body !== undefined && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }) });
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as T;
}

async function layInStock(databaseUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query('update inventory.stock set on_hand = 1000000000');
  // Tables without rows stay as a new shop has them: PostgreSQL takes them to grow. Once a vacuum had seen that one is
  // empty, statements prepared from then on would read all of it until the next statistics, half a benchmark later.
  await client.query('vacuum analyze inventory.stock, catalog.product, users.account');
  await client.end();
}

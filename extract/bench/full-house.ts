/**
 * What a shop that has been open for years answers more slowly than a new one: the same requests at the same steady rate to a
 * shop with the demo data and to one with a million products, a hundred thousand users and a million orders beside them.
 */
import type { Request } from 'autocannon';
import { quantile } from './figures.ts';
import { fill } from './filling.ts';
import { openLoop, type Times, timesOf } from './open-loop.ts';
import { type Stage, startShop } from './shop.ts';
import type { Side } from './side.ts';

export const QUESTIONS = ['product by id', 'list', 'search', 'POST /orders'] as const;
export type Question = (typeof QUESTIONS)[number];

/** Milliseconds; medians over the rounds. */
export type FullHouse = Readonly<Record<Question, { readonly few: Times; readonly many: Times }>>;

export const PRODUCTS = 1_000_000;
export const USERS = 100_000;
export const ORDERS = 1_000_000;
const PER_SECOND: Readonly<Record<Question, number>> = { 'product by id': 400, list: 400, search: 100, 'POST /orders': 100 };
const ASKED = 2_000;
const BRANDS = 2_000;
/** Each is in the demo, and with a million products in thousands of them. */
const WORDS = ['skillet', 'coffee', 'cotton', 'steel', 'walnut handle'];

/** Two syllables and an ending each: words that no product of the demo has. */
const brands = Array.from({ length: BRANDS }, (_, number) => ['Vel', 'Tor', 'Bri', 'Kas', 'Mon', 'Ful', 'Zan', 'Pex', 'Lum', 'Gri'][number % 10]! + ['ora', 'ezi', 'upo', 'ima', 'ark', 'eth', 'ovi', 'ash', 'unt', 'ile'][Math.floor(number / 10) % 10]! + String.fromCodePoint(97 + (Math.floor(number / 100) % 20)) + 'x');

interface House {
  readonly side: Side;
  readonly productIds: readonly string[];
}

export async function fullHouse(stage: Stage, { rounds, seconds }: { rounds: number; seconds: number }, progress: (line: string) => void): Promise<FullHouse> {
  const manyUrl = await stage.database('many');
  progress(`Filling a shop with ${PRODUCTS} products, ${USERS} users and ${ORDERS} orders …`);
  const productIds = await fill(manyUrl, { products: PRODUCTS, users: USERS, orders: ORDERS, brands });
  const few: House = { side: await startShop(stage.settings(await stage.database('few'))), productIds: stage.productIds };
  const many: House = { side: await startShop(stage.settings(manyUrl)), productIds };
  for (const house of [few, many]) await mustFind(house);
  const found = {} as Record<Question, { few: Times; many: Times }>;
  for (const question of QUESTIONS) {
    const times = { few: [] as Times[], many: [] as Times[] };
    for (let round = 0; round <= rounds; round += 1) {
      for (const [name, house] of [['few', few], ['many', many]] as const) times[name].push(await ask(house, question, stage, seconds));
    }
    // The first round warms up.
    found[question] = { few: medians(times.few.slice(1)), many: medians(times.many.slice(1)) };
    progress(`${question}: p50 ${found[question].few.p50.toFixed(2)} ms among few, ${found[question].many.p50.toFixed(2)} ms among many`);
  }
  await few.side.stop();
  await many.side.stop();
  return found;
}

async function ask({ side, productIds }: House, question: Question, { tokens }: Stage, seconds: number): Promise<Times> {
  const loop = openLoop(side.url);
  const answers = await loop.send(Array.from({ length: ASKED }, () => request(question, productIds, tokens)), PER_SECOND[question], seconds);
  await loop.close();
  return timesOf(answers);
}

function request(question: Question, productIds: readonly string[], tokens: readonly string[]): Request {
  if (question === 'product by id') return { method: 'GET', path: `/api/v1/products/${popular(productIds)}` };
  if (question === 'list') return { method: 'GET', path: `/api/v1/products?limit=20&sort=${Math.random() < 0.5 ? 'price' : 'newest'}` };
  if (question === 'search') return { method: 'GET', path: search(WORDS[Math.floor(Math.random() * WORDS.length)]!) };
  const items = [...new Set([popular(productIds), popular(productIds)])].map((productId) => ({ productId, quantity: 1 }));
  const shippingAddress = { name: 'Ada Lovelace', line1: '12 Analytical Row', city: 'London', postalCode: 'W1 2AB', country: 'GB' };
  return { method: 'POST', path: '/api/v1/orders', headers: { 'content-type': 'application/json', authorization: `Bearer ${tokens[Math.floor(Math.random() * tokens.length)]!}` }, body: JSON.stringify({ items, shippingAddress }) };
}

function search(words: string): string {
  return `/api/v1/products/search?q=${encodeURIComponent(words)}`;
}

/** @throws Error where a search finds nothing, which would be quick */
async function mustFind({ side }: House): Promise<void> {
  for (const words of WORDS) {
    const { items } = (await (await fetch(`${side.url}${search(words)}`)).json()) as { items: unknown[] };
    if (items.length === 0) throw new Error(`nothing was found for ${JSON.stringify(words)}`);
  }
}

/** Customers want few things often and many things rarely: the product of rank n with a probability of about 1/n (Zipf). */
function popular(productIds: readonly string[]): string {
  return productIds[Math.floor(productIds.length ** Math.random()) - 1]!;
}

function medians(rounds: readonly Times[]): Times {
  return { p50: quantile(rounds.map(({ p50 }) => p50), 0.5), p99: quantile(rounds.map(({ p99 }) => p99), 0.5) };
}

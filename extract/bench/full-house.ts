/**
 * What a shop that has been open for years answers more slowly than a new one: the same questions at the same steady rate to a
 * shop with the demo data and to one with a million products, a hundred thousand users and a million orders beside them.
 */
import { quantile } from './figures.ts';
import { fill } from './filling.ts';
import { isRefused, openLoop, type Times, timesOf, timesOfRounds } from './open-loop.ts';
import type { Options } from './options.ts';
import { type Goods, goodsOf, type Question, QUESTIONS, request } from './questions.ts';
import { type Stage, startShop } from './shop.ts';
import type { Side } from './side.ts';

/** Medians over the rounds, times in milliseconds. */
export interface Answered extends Times {
  /** CPU time of the shop's process for each answer, all its threads; PostgreSQL's is not in it. */
  readonly cpuUs: number;
  /** Share of the requests that were turned away: a machine that stands still for a moment. */
  readonly turnedAway: number;
}

export type FullHouse = Readonly<Record<Question, { readonly few: Answered; readonly many: Answered }>>;

export const PRODUCTS = 1_000_000;
export const USERS = 100_000;
export const ORDERS = 1_000_000;
const PER_SECOND: Readonly<Record<Question, number>> = {
  'product by id, any': 400,
  'product by id, as customers want them': 400,
  list: 200,
  'search for one thing': 100,
  'search for a kind of thing': 100,
  'POST /orders': 100,
};
const ASKED = 2_000;
const BRANDS = 2_000;
/** Searches of each kind that must find something before anything is measured. */
const TRIED = 20;

/** Two syllables and an ending each: words that no product of the demo has. */
const brands = Array.from({ length: BRANDS }, (_, number) => ['Vel', 'Tor', 'Bri', 'Kas', 'Mon', 'Ful', 'Zan', 'Pex', 'Lum', 'Gri'][number % 10]! + ['ora', 'ezi', 'upo', 'ima', 'ark', 'eth', 'ovi', 'ash', 'unt', 'ile'][Math.floor(number / 10) % 10]! + String.fromCodePoint(97 + (Math.floor(number / 100) % 20)) + 'x');

interface House {
  readonly side: Side;
  readonly goods: Goods;
}

export async function fullHouse(stage: Stage, { rounds, seconds, profile }: Pick<Options, 'rounds' | 'seconds' | 'profile'>, checkpoint: () => Promise<void>, progress: (line: string) => void): Promise<FullHouse> {
  const [fewUrl, manyUrl] = [await stage.database('few'), await stage.database('many')];
  progress(`Filling a shop with ${PRODUCTS} products, ${USERS} users and ${ORDERS} orders …`);
  const productIds = await fill(manyUrl, { products: PRODUCTS, users: USERS, orders: ORDERS, brands });
  await checkpoint();
  const houses = { few: await open('few', fewUrl, stage.productIds, stage, profile), many: await open('many', manyUrl, productIds, stage, profile) };
  const found = {} as Record<Question, { few: Answered; many: Answered }>;
  for (const question of QUESTIONS) {
    found[question] = await asked(question, houses, rounds, seconds);
    progress(`${question}: p50 ${found[question].few.p50.toFixed(2)} ms among few, ${found[question].many.p50.toFixed(2)} ms among many`);
  }
  for (const { side } of Object.values(houses)) await side.stop();
  return found;
}

async function open(name: string, databaseUrl: string, productIds: readonly string[], stage: Stage, profile: string | undefined): Promise<House> {
  const side = await startShop(stage.settings(databaseUrl), profile, name);
  const house = { side, goods: await goodsOf(side.url, databaseUrl, productIds, stage.tokens) };
  await mustFind(house);
  return house;
}

async function asked(question: Question, { few, many }: { few: House; many: House }, rounds: number, seconds: number): Promise<{ few: Answered; many: Answered }> {
  const times = { few: [] as Answered[], many: [] as Answered[] };
  for (let round = 0; round <= rounds; round += 1) {
    times.few.push(await ask(few, question, seconds));
    times.many.push(await ask(many, question, seconds));
  }
  // The first round warms up.
  return { few: mediansOf(times.few.slice(1)), many: mediansOf(times.many.slice(1)) };
}

function mediansOf(rounds: readonly Answered[]): Answered {
  const turnedAway = rounds.reduce((sum, round) => sum + round.turnedAway, 0) / rounds.length;
  return { ...timesOfRounds(rounds), cpuUs: quantile(rounds.map(({ cpuUs }) => cpuUs), 0.5), turnedAway };
}

async function ask({ side, goods }: House, question: Question, seconds: number): Promise<Answered> {
  const loop = openLoop(side.url);
  const before = await side.usage();
  const answers = await loop.send(Array.from({ length: ASKED }, () => request(question, goods)), PER_SECOND[question], seconds);
  const { cpuUs } = await side.usage();
  await loop.close();
  const taken = answers.filter((answer) => !isRefused(answer));
  return { ...timesOf(taken), cpuUs: (cpuUs - before.cpuUs) / answers.length, turnedAway: 1 - taken.length / answers.length };
}

/** @throws Error where a search finds nothing, which would be quick */
async function mustFind({ side, goods }: House): Promise<void> {
  for (const question of QUESTIONS.filter((each) => each.startsWith('search'))) {
    for (let tried = 0; tried < TRIED; tried += 1) {
      const { path } = request(question, goods);
      const { items } = (await (await fetch(`${side.url}${path}`)).json()) as { items: unknown[] };
      if (items.length === 0) throw new Error(`nothing was found by ${path}`);
    }
  }
}

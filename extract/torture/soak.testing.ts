/**
 * A shop as people run it, at a part of what it can take, for as long as it takes to see a leak: what it holds levels off. What it can
 * take, its knee, is found first:
 *
 *   warm-up --> burst: 32 customers who ask again as soon as they are answered --> aftermath: the burst's orders are fulfilled
 *   --> another process, that holds nothing of a burst --> soak: that part of what was answered per second of burst and aftermath, sent when it is due, whatever became of what was sent before
 *
 * Without the aftermath the knee would be that of taking orders, which is faster than fulfilling them: a soak would pile them up.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { quantile } from '../bench/figures.ts';
import { CONNECTIONS, load } from '../bench/load.ts';
import { type Answer, openLoop } from '../bench/open-loop.ts';
import { Api } from './api.testing.ts';
import { Books } from './books.testing.ts';
import { course, type Holdings, holdings, holdingsLevelOff } from './holdings.testing.ts';
import type { Place } from './places.testing.ts';
import { Random } from './random.testing.ts';
import { administrator, RealShop } from './real-shop.testing.ts';
import { type Finding, type Result, spread } from './result.testing.ts';
import { setStage, type Stage } from './stage.testing.ts';
import { traffic } from './traffic.testing.ts';

export interface SoakOptions extends Place {
  readonly minutes: number;
  /** Requests a second; 0 stands for `share` of the knee. */
  readonly rate: number;
  readonly share: number;
  readonly seed: number;
  /** Seconds of the burst that finds the knee, and of the warm-up before it. */
  readonly burstSeconds: number;
  progress(line: string): void;
}

/** Each connection of the burst goes through its own requests, again and again. */
const DIFFERENT = 400;
/** Requests are made up for so long at a time, since no key may come twice. */
const PORTION_S = 5;
const SAMPLES = 200;
/** Looking costs something, too. */
const LEAST_BETWEEN_MS = 150;
const RETELL_EVERY = 20;
/** From here on what takes minutes to level off is judged, too. */
const LONG_MINUTES = 5;
const PEOPLE = { customers: 8, products: 40 };
/** Later than this no answer is a good one. */
const ANSWERED_MS = 5_000;

export async function soak(options: SoakOptions): Promise<Result> {
  const { adminUrl, rolePrefix, progress } = options;
  const complaints: string[] = [];
  const shop = await RealShop.prepare({ settings: { DATABASE_URL: adminUrl, DATABASE_ROLE_PREFIX: rolePrefix }, onError: (line) => complaints.push(`it logged: ${line}`) });
  const api = new Api({ url: shop.url, complain: (complaint) => complaints.push(complaint) });
  const books = new Books(adminUrl);
  try {
    await shop.launch().up;
    const tools: Tools = { shop, books, stage: await setStage(api, administrator, PEOPLE), random: new Random(options.seed) };
    const rate = options.rate || options.share * (await knee(tools, options));
    await shop.life.kill('SIGTERM');
    await shop.launch().up;
    progress(`${rate.toFixed(1)} requests a second for ${options.minutes} minutes`);
    const watch = new Watch(tools, Math.max(LEAST_BETWEEN_MS, (options.minutes * 60_000) / SAMPLES), progress);
    const answers = await send(tools, rate, options.minutes * 60);
    const samples = await watch.end();
    const rest: Finding = { claim: 'the shop came to rest by itself', violations: await books.untilAtRest() };
    return {
      findings: [answered(answers, complaints), rest, ...holdingsLevelOff(samples, options.minutes >= LONG_MINUTES), { claim: 'the books balance', violations: await balance(tools) }],
      figures: [`${answers.length} requests, ${rate.toFixed(1)} a second; p50 ${timeOf(answers, 0.5)}, p99 ${timeOf(answers, 0.99)} ms`, spread('until answered', answers.map(({ ms }) => ms)), ...course(samples)],
    };
  } finally {
    await shop.end();
    await books.close();
  }
}

interface Tools {
  readonly shop: RealShop;
  readonly books: Books;
  readonly stage: Stage;
  readonly random: Random;
}

/** Requests a second that the shop answers and whose work it also does. */
async function knee({ shop, books, stage, random }: Tools, { burstSeconds, progress }: SoakOptions): Promise<number> {
  // Under keys that come again an order would be answered from memory.
  const unkeyed = traffic(random, stage, CONNECTIONS * DIFFERENT).map(({ headers = {}, ...request }) => ({ ...request, headers: Object.fromEntries(Object.entries(headers).filter(([name]) => name !== 'idempotency-key')) }));
  const requests = Array.from({ length: CONNECTIONS }, (_, connection) => unkeyed.slice(connection * DIFFERENT, (connection + 1) * DIFFERENT));
  await load(shop.url, requests, burstSeconds);
  await books.mustRest();
  const startedAt = performance.now();
  const { answered: count, perSecond } = await load(shop.url, requests, burstSeconds);
  await books.mustRest();
  const found = (count * 1_000) / (performance.now() - startedAt);
  progress(`the knee: ${perSecond.toFixed()} requests a second were answered, ${found.toFixed()} with all that came of them`);
  return found;
}

async function send({ shop, stage, random }: Tools, rate: number, seconds: number): Promise<Answer[]> {
  const loop = openLoop(shop.url);
  const answers: Answer[] = [];
  for (let left = seconds; left > 0; left -= PORTION_S) {
    const portion = Math.min(left, PORTION_S);
    for (const answer of await loop.send(traffic(random, stage, Math.ceil(rate * portion)), rate, portion)) answers.push(answer);
  }
  await loop.close();
  return answers;
}

/** Looks at what the shop holds at even distances, from when it is made until it is ended. */
class Watch {
  readonly #samples: Holdings[] = [];
  readonly #leaving = new AbortController();
  readonly #all: Promise<void>;

  constructor(tools: Tools, everyMs: number, progress: (line: string) => void) {
    this.#all = this.#look(tools, everyMs, progress);
    // It is heard of at the end, or not at all where something else has failed before.
    this.#all.catch(() => undefined);
  }

  async end(): Promise<readonly Holdings[]> {
    this.#leaving.abort();
    await this.#all;
    return this.#samples;
  }

  async #look({ shop, books }: Tools, everyMs: number, progress: (line: string) => void): Promise<void> {
    const startedAt = performance.now();
    while (!this.#leaving.signal.aborted) {
      const now = await holdings(shop, books);
      this.#samples.push(now);
      if (this.#samples.length % RETELL_EVERY === 0) progress(`${(now.inside.residentBytes / 2 ** 20).toFixed()} MiB, ${now.inside.resources} handles, ${now.pool.open} connections (${now.pool.busy} busy), ${now.sizes.orders} orders`);
      const due = startedAt + this.#samples.length * everyMs - performance.now();
      await sleep(Math.max(0, due), undefined, { signal: this.#leaving.signal }).catch(() => undefined);
    }
  }
}

/** As long as it can take more, nobody is turned away. */
function answered(answers: readonly Answer[], complaints: readonly string[]): Finding {
  const wrong = Map.groupBy(answers.filter(({ status }) => status < 200 || status > 299), ({ status }) => status);
  const late = answers.filter(({ ms }) => ms > ANSWERED_MS);
  return { claim: 'every request was answered as it should be', violations: [...complaints, ...[...wrong].map(([status, { length }]) => `${length} were answered ${status}`), ...(late.length > 0 ? [`${late.length} were answered after more than ${ANSWERED_MS / 1_000} s`] : [])] };
}

async function balance({ books, stage }: Tools): Promise<readonly string[]> {
  return [...(await books.stock()), ...(await books.money()), ...(await books.orders()), ...(await books.events()), ...(await books.handled(stage.subscriptions)), ...(await books.deadLetters()), ...(await books.boughtTogether())];
}

function timeOf(answers: readonly Answer[], part: number): string {
  return quantile(answers.map(({ ms }) => ms), part).toFixed(1);
}

/**
 * What a storm of sign-ins does to checkout, in turn alone and with sign-ins as fast as they go: to orders at a steady rate, in a
 * shop that has room, and to as many orders as the shop takes. A loop of the lowest priority in the place of the sign-ins tells how
 * much of it is nothing but a processor that is busy.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { startBusyLoop } from './busy-loop.ts';
import type { Contender } from './compare.ts';
import { quantile } from './figures.ts';
import { load } from './load.ts';
import { openLoop, timesOf } from './open-loop.ts';
import type { Options } from './options.ts';
import { scenarios } from './scenarios.ts';
import type { Side } from './side.ts';
import { CUSTOMERS, type Stage } from './shop.ts';

/** Medians over the rounds. */
export interface Checkout {
  /** Milliseconds until the answer: at a steady rate from the moment when the order was due, else from when it was sent. */
  readonly p50: number;
  readonly p99: number;
  /** Orders that were answered. */
  readonly perSecond: number;
}

export interface Weathered {
  readonly alone: Checkout;
  readonly during: Checkout;
  /** While a loop of the lowest priority runs, where the system has such: what a busy processor does without any sign-in. */
  readonly besideLoop: Checkout | undefined;
}

export interface Storm {
  readonly steady: Weathered;
  readonly full: Weathered;
  /** Password checks a second that were made meanwhile. */
  readonly checksPerSecond: number;
  /** Sign-ins a second that found no room and were told to come again. */
  readonly refusedPerSecond: number;
}

/** A fifth of what two cores can do: a shop that is busy and has room. */
export const ORDERS_PER_SECOND = 200;
/** More than wait for their turn, so that there is never a moment without a hash. */
export const SIGNING_IN = 32;
const REFUSED_WAITS_MS = 100;
/** Rounds at the steady rate, of few orders, are this many times as long as asked for: of a thousand orders the ten slowest would be one pause of the machine. */
const STEADY_LASTS_TIMES = 2;

export async function storm({ side, backlog }: Contender, stage: Stage, { rounds, seconds, warmUp }: Pick<Options, 'rounds' | 'seconds' | 'warmUp'>, progress: (line: string) => void): Promise<Storm> {
  const requests = scenarios.find(({ part }) => part === 'orders')!.requests(stage);
  const counts: Counts = { checked: 0, refused: 0, seconds: 0 };
  const measured = async (what: string, checkout: () => Promise<Checkout>): Promise<Weathered> => {
    const [alone, during, besideLoop]: [Checkout[], Checkout[], Checkout[]] = [[], [], []];
    for (let round = 1; round <= rounds; round += 1) {
      await backlog.drained();
      alone.push(await checkout());
      await backlog.drained();
      during.push(await amidSignIns(side, counts, checkout));
      await backlog.drained();
      besideLoop.push(...(await amidBusyLoop(checkout)));
      progress(`Checkout, ${what}, round ${round}: p99 ${alone.at(-1)!.p99.toFixed(1)} ms alone, ${during.at(-1)!.p99.toFixed(1)} ms while ${SIGNING_IN} sign in`);
    }
    return { alone: median(alone), during: median(during), besideLoop: besideLoop.length > 0 ? median(besideLoop) : undefined };
  };
  await load(side.url, requests, warmUp);
  const loop = openLoop(side.url);
  const steady = await measured(`${ORDERS_PER_SECOND} orders/s`, async () => ({ ...timesOf(await loop.send(requests.flat(), ORDERS_PER_SECOND, STEADY_LASTS_TIMES * seconds)), perSecond: ORDERS_PER_SECOND }));
  await loop.close();
  const full = await measured('as many as it takes', async () => load(side.url, requests, seconds));
  return { steady, full, checksPerSecond: counts.checked / counts.seconds, refusedPerSecond: counts.refused / counts.seconds };
}

interface Counts {
  checked: number;
  refused: number;
  seconds: number;
}

async function amidSignIns(side: Side, counts: Counts, checkout: () => Promise<Checkout>): Promise<Checkout> {
  const signIns = startSignIns(side);
  const result = await checkout();
  const { checked, refused, seconds } = await signIns.stop();
  counts.checked += checked;
  counts.refused += refused;
  counts.seconds += seconds;
  return result;
}

async function amidBusyLoop(checkout: () => Promise<Checkout>): Promise<Checkout[]> {
  const loop = await startBusyLoop();
  if (!loop) return [];
  const result = await checkout();
  await loop.stop();
  return [result];
}

interface SignIns {
  stop(): Promise<Counts>;
}

function startSignIns({ url }: Side): SignIns {
  const counted = { checked: 0, refused: 0 };
  const started = performance.now();
  let over = false;
  const signIn = async (number: number): Promise<void> => {
    const { username, password } = CUSTOMERS[number % CUSTOMERS.length]!;
    while (!over) {
      const response = await fetch(`${url}/api/v1/users/authenticate`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ username, password }) });
      await response.arrayBuffer();
      if (response.status === 200) counted.checked += 1;
      else if (response.status === 503 || response.status === 504) counted.refused += 1;
      else throw new Error(`a sign-in was answered ${response.status}`);
      if (response.status !== 200) await sleep(REFUSED_WAITS_MS);
    }
  };
  const all = Promise.all(Array.from({ length: SIGNING_IN }, async (_, number) => signIn(number)));
  return {
    async stop() {
      over = true;
      const seconds = (performance.now() - started) / 1_000;
      const { checked, refused } = counted;
      await all;
      return { checked, refused, seconds };
    },
  };
}

function median(rounds: readonly Checkout[]): Checkout {
  const of = (figure: keyof Checkout): number => quantile(rounds.map((round) => round[figure]), 0.5);
  return { p50: of('p50'), p99: of('p99'), perSecond: of('perSecond') };
}

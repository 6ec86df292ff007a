/**
 * What a storm of sign-ins does to checkout, in turn alone and with sign-ins as fast as they go: to a fifth of the orders that the shop
 * can take, so to a shop that has room, and to as many as it takes. Each of both goes first in every other round.
 */
import type { Contender } from './compare.ts';
import { quantile, type Spread, spreadOf } from './figures.ts';
import { load } from './load.ts';
import { openLoop, timesOf, waits } from './open-loop.ts';
import type { Options } from './options.ts';
import { scenarios } from './scenarios.ts';
import type { Side } from './side.ts';
import { SIGNING_IN, type SignedIn, startSignIns } from './sign-ins.ts';
import type { Stage } from './shop.ts';
import { turnsOf } from './turns.ts';

/** Medians over the rounds. */
export interface Checkout {
  /** Milliseconds until the answer: at a steady rate from the moment when the order was due, else from when it was sent. */
  readonly p50: number;
  readonly p99: number;
  /** Orders that were answered. */
  readonly perSecond: number;
  /** At a steady rate the milliseconds that the load generator was late, which are in the others, and those from when it sent: 99th percentiles. */
  readonly generator: { readonly late: number; readonly sent: number } | undefined;
}

export interface Weathered {
  readonly alone: Checkout;
  readonly during: Checkout;
  /** The p99 with sign-ins beside that without them, round by round: what else the machine does in that minute slows both. */
  readonly ratio: Spread;
}

export interface Storm {
  /** The steady rate. */
  readonly ordersPerSecond: number;
  readonly steady: Weathered;
  readonly full: Weathered;
  /** Password checks a second that were made meanwhile. */
  readonly checksPerSecond: number;
  /** Sign-ins a second that found no room and were told to come again. */
  readonly refusedPerSecond: number;
}

/** Of what it can take: a shop that is busy and has room. */
const STEADY_SHARE = 0.2;
/**
 * At the steady rate there are so many times as many rounds: the slowest hundredth of one is a pause or two of the machine, and which side meets them is
 * chance. Many short pairs tell more of that than few long ones.
 */
const STEADY_ROUNDS_TIMES = 3;

export async function storm(
  { side, backlog }: Contender,
  stage: Stage,
  { rounds, seconds, warmUp }: Pick<Options, 'rounds' | 'seconds' | 'warmUp'>,
  prepare: () => Promise<void>,
  progress: (line: string) => void,
): Promise<Storm> {
  const requests = scenarios.find(({ part }) => part === 'orders')!.requests(stage);
  const counts: Counts = { checked: 0, refused: 0, seconds: 0 };
  const measured = async (what: string, pairs: number, checkout: () => Promise<Checkout>): Promise<Weathered> => {
    const inTurn = { alone: checkout, during: async () => amidSignIns(side, counts, checkout) };
    const turns = Object.keys(inTurn) as (keyof typeof inTurn)[];
    const results: Record<keyof typeof inTurn, Checkout[]> = { alone: [], during: [] };
    for (let round = 0; round < pairs; round += 1) {
      for (const name of turnsOf(turns, round)) {
        await backlog.drained();
        await prepare();
        results[name].push(await inTurn[name]());
      }
      const [alone, during] = turns.map((name) => results[name].at(-1)?.p99.toFixed(1));
      progress(`Checkout, ${what}, round ${round + 1}: p99 ${alone} ms alone, ${during} ms while ${SIGNING_IN} sign in`);
    }
    return {
      alone: median(results.alone),
      during: median(results.during),
      ratio: spreadOf(results.during.map(({ p99 }, round) => p99 / results.alone[round]!.p99)),
    };
  };
  await load(side.url, requests, warmUp);
  await backlog.drained();
  const ordersPerSecond = Math.round(STEADY_SHARE * (await load(side.url, requests, seconds)).perSecond);
  await backlog.drained();
  const loop = openLoop(side.url);
  const atSteadyRate = async (lasts: number): Promise<Checkout> => {
    const answers = await loop.send(requests.flat(), ordersPerSecond, lasts);
    return { ...timesOf(answers), perSecond: ordersPerSecond, generator: { late: waits(answers, 'lateMs').p99, sent: quantile(answers.map(({ ms, lateMs }) => ms - lateMs), 0.99) } };
  };
  await amidSignIns(side, { checked: 0, refused: 0, seconds: 0 }, async () => atSteadyRate(warmUp));
  const steady = await measured(`${ordersPerSecond} orders/s`, STEADY_ROUNDS_TIMES * rounds, async () => atSteadyRate(seconds));
  await loop.close();
  const full = await measured('as many as it takes', rounds, async () => ({ ...(await load(side.url, requests, seconds)), generator: undefined }));
  return { ordersPerSecond, steady, full, checksPerSecond: counts.checked / counts.seconds, refusedPerSecond: counts.refused / counts.seconds };
}

/** Of all the rounds, added up. */
type Counts = { -readonly [what in keyof SignedIn]: number };

async function amidSignIns(side: Side, counts: Counts, checkout: () => Promise<Checkout>): Promise<Checkout> {
  const signIns = await startSignIns(side.url);
  const result = await checkout();
  const { checked, refused, seconds } = await signIns.stop();
  counts.checked += checked;
  counts.refused += refused;
  counts.seconds += seconds;
  return result;
}

function median(rounds: readonly Checkout[]): Checkout {
  const of = (figure: (round: Checkout) => number): number => quantile(rounds.map(figure), 0.5);
  const generators = rounds.flatMap(({ generator }) => generator ?? []);
  const late = generators.map((generator) => generator.late);
  const sent = generators.map((generator) => generator.sent);
  return { p50: of(({ p50 }) => p50), p99: of(({ p99 }) => p99), perSecond: of(({ perSecond }) => perSecond), generator: generators.length > 0 ? { late: quantile(late, 0.5), sent: quantile(sent, 0.5) } : undefined };
}

/**
 * What three times the orders that the shop can take do to it: how many it still takes, how soon the others are turned away,
 * and whether it is as before when it is over.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Contender } from './compare.ts';
import { quantile, type Spread, spreadOf } from './figures.ts';
import { load } from './load.ts';
import { type Answer, isDone, isRefused, openLoop, type Times, timesOf, timesOfRounds, waits } from './open-loop.ts';
import { scenarios } from './scenarios.ts';
import type { Stage } from './shop.ts';

/** Milliseconds from the moment when an order was due until its answer; medians over the rounds. */
export interface Overload {
  /** Orders a second that the shop takes from 32 customers who wait for each answer: its peak. */
  readonly peak: number;
  /** Orders a second that it answers with 201 while `TIMES` as many are sent. */
  readonly goodput: number;
  /** Goodput beside the peak of the same round: what else the machine does in that minute slows both. */
  readonly kept: Spread;
  readonly taken: Times;
  /** Until the 503. */
  readonly refused: Times;
  /** Of all of these, how late the load generator sent them. */
  readonly late: Times;
  /** At half the peak, before it and `NORMAL_AFTER_MS` after its end. */
  readonly before: Times;
  readonly after: Times;
  /** Orders that were not taken after it, in all rounds. */
  readonly wrongAfter: number;
  /** Milliseconds for which the oldest work of orders that were taken waits `NORMAL_AFTER_MS` after it: the longest of all rounds. */
  readonly waitsAfter: number;
}

type Round = Omit<Overload, 'kept'>;

export const TIMES = 3;
export const NORMAL_AFTER_MS = 10_000;
const HALF = 0.5;
/** For the shop to notice. */
const SETTLE_SECONDS = 2;

/** @throws Error when an order is answered that is neither taken nor refused as it should be */
export async function overload({ side, backlog }: Contender, stage: Stage, { rounds, seconds }: { rounds: number; seconds: number }, progress: (line: string) => void): Promise<Overload> {
  const requests = scenarios.find(({ part }) => part === 'orders')!.requests(stage);
  const loop = openLoop(side.url);
  const measured: Round[] = [];
  await load(side.url, requests, seconds);
  for (let round = 1; round <= rounds; round += 1) {
    await backlog.drained();
    const { perSecond: peak } = await load(side.url, requests, seconds);
    const offered = async (part: number, length: number) => loop.send(requests.flat(), peak * part, length);
    await backlog.drained();
    const before = timesOf(await offered(HALF, seconds));
    // Not counted, but each answered as it should be.
    sorted(await offered(TIMES, SETTLE_SECONDS), SETTLE_SECONDS);
    const { taken, refused, late, goodput } = sorted(await offered(TIMES, seconds), seconds);
    await sleep(NORMAL_AFTER_MS);
    const waitsAfter = await backlog.oldestMs();
    const afterwards = await offered(HALF, seconds);
    const after = waits(afterwards);
    measured.push({ peak, goodput, before, taken, refused, late, after, wrongAfter: afterwards.filter((answer) => !isDone(answer)).length, waitsAfter });
    progress(`Overload, round ${round}: ${goodput.toFixed()}/s of ${peak.toFixed()}/s, refused within ${refused.p99.toFixed(1)} ms (p99), ${refused.max.toFixed(1)} ms (all), the load generator late by ${late.p99.toFixed(1)} ms (p99), at half the peak ${before.p99.toFixed(1)} ms (p99) before and ${after.p99.toFixed(1)} ms after, when the oldest work has waited ${waitsAfter.toFixed()} ms`);
  }
  await loop.close();
  const median = (figure: (of: Round) => number) => quantile(measured.map(figure), HALF);
  const times = (of: (each: Round) => Times): Times => timesOfRounds(measured.map(of));
  return {
    peak: median((of) => of.peak),
    goodput: median((of) => of.goodput),
    kept: spreadOf(measured.map(({ goodput, peak }) => goodput / peak)),
    taken: times((of) => of.taken),
    refused: times((of) => of.refused),
    late: times((of) => of.late),
    before: times((of) => of.before),
    after: times((of) => of.after),
    waitsAfter: Math.max(...measured.map((of) => of.waitsAfter)),
    wrongAfter: measured.reduce((sum, { wrongAfter }) => sum + wrongAfter, 0),
  };
}

/** Goodput is what was answered while the load lasted. */
function sorted(answers: readonly Answer[], seconds: number): Pick<Overload, 'taken' | 'refused' | 'late' | 'goodput'> {
  const refused = answers.filter(isRefused);
  const taken = answers.filter((answer) => !isRefused(answer));
  const inTime = taken.filter(({ atMs }) => atMs <= seconds * 1_000);
  return { taken: timesOf(taken), refused: waits(refused), late: waits(answers, 'lateMs'), goodput: inTime.length / seconds };
}

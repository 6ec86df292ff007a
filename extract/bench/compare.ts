/** Measures both sides of a scenario, round about. */
import type { Backlog } from './backlog.ts';
import { quantile, type Spread, spreadOf } from './figures.ts';
import { load, type Requests } from './load.ts';
import type { Scenario } from './scenarios.ts';
import type { Side } from './side.ts';
import { turnsOf } from './turns.ts';

export interface Contender {
  readonly side: Side;
  readonly backlog: Backlog;
}

export interface Rounds {
  /** Answers a second. */
  readonly perSecond: Spread;
  /** Milliseconds until an answer; medians over the rounds. */
  readonly p50: number;
  readonly p99: number;
  /** CPU time of the side's own process for each request and what follows from it; not the database's. */
  readonly cpuUs: Spread;
  /** Requests a second with all that follows from them, from the start of the load until the last is done. */
  readonly throughPerSecond: Spread | undefined;
}

export interface Comparison {
  readonly shop: Rounds;
  readonly yardstick: Rounds;
  /**
   * The shop's answers a second beside the yardstick's of the same minute, round by round: what else the machine does then
   * slows both. Of the medians of either side one may be from a quiet minute and the other not.
   */
  readonly ratio: Spread;
}

export interface CompareOptions {
  readonly scenario: Scenario;
  readonly requests: Requests;
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUp: number;
  /** Before each round. */
  prepare(): Promise<void>;
  progress(line: string): void;
}

interface Round {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly cpuUs: number;
  readonly throughPerSecond: number | undefined;
}

export async function compare(shop: Contender, yardstick: Contender, options: CompareOptions): Promise<Comparison> {
  const { scenario, requests, warmUp, progress } = options;
  if (!scenario.leavesWork) await mustAnswerAlike(shop.side, yardstick.side, requests);
  for (const { side, backlog } of [shop, yardstick]) {
    await load(side.url, requests, Math.max(1, Math.round(warmUp / 2)));
    await backlog.drained();
  }
  const rounds = { shop: [] as Round[], yardstick: [] as Round[] };
  for (let number = 1; number <= options.rounds; number += 1) {
    for (const who of turnsOf(['shop', 'yardstick'] as const, number - 1)) {
      rounds[who].push(await round(who === 'shop' ? shop : yardstick, options));
    }
    progress(`${scenario.title}, round ${number}: ${rounds.shop.at(-1)!.perSecond.toFixed()}/s beside ${rounds.yardstick.at(-1)!.perSecond.toFixed()}/s`);
  }
  const ratio = spreadOf(rounds.shop.map(({ perSecond }, index) => perSecond / rounds.yardstick[index]!.perSecond));
  return { shop: summary(rounds.shop), yardstick: summary(rounds.yardstick), ratio };
}

/** A yardstick that answered something else would measure something else. */
async function mustAnswerAlike(shop: Side, yardstick: Side, requests: Requests): Promise<void> {
  const { path } = requests[0]![0]!;
  const [ours, theirs] = await Promise.all([shop, yardstick].map(async ({ url }) => (await fetch(`${url}${path}`)).text()));
  if (ours !== theirs) throw new Error(`the sides answer ${path} differently:\n${ours}\n${theirs}`);
}

async function round({ side, backlog }: Contender, { scenario, requests, seconds, prepare }: CompareOptions): Promise<Round> {
  await prepare();
  const ordersBefore = scenario.leavesWork ? await backlog.orders() : 0;
  const before = await side.usage();
  const { answered, perSecond, p50, p99, startedAt } = await load(side.url, requests, seconds);
  const drainedAt = scenario.leavesWork ? await backlog.drained() : 0;
  const { cpuUs } = await side.usage();
  // Orders whose answer was hung up on count here: they were placed, and worked off.
  const done = scenario.leavesWork ? (await backlog.orders()) - ordersBefore : answered;
  const throughPerSecond = scenario.leavesWork ? (done * 1_000) / (drainedAt - startedAt.getTime()) : undefined;
  return { perSecond, p50, p99, cpuUs: (cpuUs - before.cpuUs) / done, throughPerSecond };
}

function summary(rounds: readonly Round[]): Rounds {
  const through = rounds.flatMap(({ throughPerSecond }) => throughPerSecond ?? []);
  return {
    perSecond: spreadOf(rounds.map(({ perSecond }) => perSecond)),
    p50: quantile(rounds.map(({ p50 }) => p50), 0.5),
    p99: quantile(rounds.map(({ p99 }) => p99), 0.5),
    cpuUs: spreadOf(rounds.map(({ cpuUs }) => cpuUs)),
    throughPerSecond: through.length > 0 ? spreadOf(through) : undefined,
  };
}

/** What the outbox costs a checkout: orders a second with their event and without it, in turn, while nobody handles anything. */
import { pino } from 'pino';
import { discoverModules } from '../../src/host/discover.ts';
import { Ownership } from '../../src/host/ownership.ts';
import { quantile, type Spread, spreadOf } from './figures.ts';
import { load } from './load.ts';
import type { Options } from './options.ts';
import { scenarios } from './scenarios.ts';
import type { Stage } from './shop.ts';
import { type Side, startSide } from './side.ts';
import { turnsOf } from './turns.ts';

export interface OutboxCost {
  /** Orders a second; medians over the rounds. */
  readonly published: number;
  readonly unpublished: number;
  /** With their event beside without it, round by round: what else the machine does in that minute slows both. */
  readonly ratio: Spread;
}

interface Shop {
  readonly side: Side;
  readonly ownership: Ownership;
}

export async function outboxCost(stage: Stage, { rounds, seconds, warmUp, profile }: Pick<Options, 'rounds' | 'seconds' | 'warmUp' | 'profile'>, prepare: () => Promise<void>, progress: (line: string) => void): Promise<OutboxCost> {
  const requests = scenarios.find(({ part }) => part === 'orders')!.requests(stage);
  const shops = { published: await start(stage, 'published', profile), unpublished: await start(stage, 'unpublished', profile) };
  const perSecond = { published: [] as number[], unpublished: [] as number[] };
  for (const { side } of Object.values(shops)) await load(side.url, requests, warmUp / 2);
  for (let round = 1; round <= rounds; round += 1) {
    for (const events of turnsOf(['published', 'unpublished'] as const, round - 1)) {
      await prepare();
      perSecond[events].push((await load(shops[events].side.url, requests, seconds)).perSecond);
    }
    progress(`POST /orders, round ${round}: ${perSecond.published.at(-1)!.toFixed()}/s with the event, ${perSecond.unpublished.at(-1)!.toFixed()}/s without`);
  }
  for (const { side, ownership } of Object.values(shops)) {
    await side.stop();
    await ownership.stop();
  }
  const ratio = spreadOf(perSecond.published.map((published, index) => published / perSecond.unpublished[index]!));
  return { published: quantile(perSecond.published, 0.5), unpublished: quantile(perSecond.unpublished, 0.5), ratio };
}

/** A shop in which nobody handles events: this process owns its modules and does nothing with them. */
async function start(stage: Stage, events: 'published' | 'unpublished', profile: string | undefined): Promise<Shop> {
  const databaseUrl = await stage.database(events);
  const ownables = (await discoverModules()).map(({ contract }) => ({ module: contract.name, start: async () => undefined, stop: async () => undefined }));
  const ownership = new Ownership({ url: databaseUrl, ownables, log: pino({ level: 'silent' }), retryMs: 1_000 });
  await ownership.start();
  const side = await startSide({ name: events, script: 'extract/bench/unhandled-shop.ts', env: { ...stage.settings(databaseUrl), EVENTS: events }, profile });
  return { side, ownership };
}

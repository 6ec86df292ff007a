/** How long an event takes in an idle shop, from being published until its handler has committed. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Request } from 'autocannon';
import pg from 'pg';
import { discoverModules } from '../../src/host/discover.ts';
import { quantile } from './figures.ts';
import type { Options } from './options.ts';
import type { Placed } from './part-of-shop.ts';
import type { Happened } from './probed-shop.ts';
import { scenarios } from './scenarios.ts';
import type { Stage } from './shop.ts';
import { type Side, startSide } from './side.ts';

export interface Latency {
  readonly orders: number;
  /** Milliseconds. They begin at the event's `occurredAt`, which is before its commit and in whole milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

const ORDERS = 300;
const WARM_UP = 50;
/** A shop that is asked so rarely is idle; different each time, to meet every phase of what runs by the clock. */
const PAUSE_MS = { least: 20, most: 80 };

/** All modules in one process. */
export async function idleLatency(stage: Stage, { profile }: Pick<Options, 'profile'>): Promise<Latency> {
  const databaseUrl = await stage.database('latency');
  return latencies(stage, databaseUrl, ['handled', 'waiting'], async (heard) => [await startSide({ name: 'probed shop', script: 'extract/bench/probed-shop.ts', env: stage.settings(databaseUrl), profile, heard })]);
}

/** Who handles the event is in a process of its own: it is pushed there over HTTP. */
export async function latencyApart(stage: Stage, { profile }: Pick<Options, 'profile'>): Promise<Latency> {
  const databaseUrl = await stage.database('apart');
  const modules = (await discoverModules()).map(({ contract }) => contract.name);
  const parts = [modules.filter((name) => name !== 'notifications'), ['notifications']];
  const secret = randomBytes(32).toString('hex');
  return latencies(stage, databaseUrl, ['handled'], async (heard) => {
    const origins: Record<string, string[]> = {};
    const places = parts.map(() => Promise.withResolvers<void>());
    const sides = parts.map(async (hosted, n) => {
      const told = (message: unknown): void => {
        const { what, origin } = message as Placed;
        if (what !== 'placed') return heard(message);
        for (const module of hosted) origins[module] = [origin];
        places[n]!.resolve();
      };
      return startSide({ name: `part ${n + 1}`, script: 'extract/bench/part-of-shop.ts', env: { ...stage.settings(databaseUrl), HOSTED: hosted.join(), SERVICE_SECRET: secret }, profile, heard: told });
    });
    const started = await Promise.all(sides);
    await Promise.all(places.map(async ({ promise }) => promise));
    for (const side of started) side.tell(JSON.stringify(origins));
    return started;
  });
}

type Start = (heard: (message: unknown) => void) => Promise<Side[]>;

/** @param awaited what has to happen after an order before the next is placed; the first side takes them */
async function latencies(stage: Stage, databaseUrl: string, awaited: readonly Happened['what'][], start: Start): Promise<Latency> {
  const handledAt: number[] = [];
  const happened = new Map<Happened['what'], () => void>();
  const sides = await start((message) => {
    const { what, at } = message as Happened;
    if (what === 'handled') handledAt.push(at);
    happened.get(what)?.();
  });
  const requests = scenarios.find(({ part }) => part === 'orders')!.requests(stage).flat();
  for (const request of requests.slice(0, WARM_UP + ORDERS)) {
    const all = awaited.map(async (what) => new Promise<void>((resolve) => happened.set(what, resolve)));
    await place(sides[0]!.url, request);
    await Promise.all(all);
    await sleep(PAUSE_MS.least + Math.random() * (PAUSE_MS.most - PAUSE_MS.least));
  }
  for (const side of sides) await side.stop();
  const publishedAt = await publicationsIn(databaseUrl);
  const times = publishedAt.map((at, index) => handledAt[index]! - at).slice(WARM_UP);
  return { orders: times.length, p50: quantile(times, 0.5), p99: quantile(times, 0.99), max: quantile(times, 1) };
}

async function place(url: string, { path, headers, body }: Request): Promise<void> {
  const response = await fetch(`${url}${path}`, { method: 'POST', headers: { ...headers }, body: body! });
  if (response.status !== 201) throw new Error(`an order was answered ${response.status}: ${await response.text()}`);
  await response.arrayBuffer();
}

/** In the order of the events, which is that of the orders: there was one at a time. */
async function publicationsIn(databaseUrl: string): Promise<number[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const { rows } = await client.query<{ at: string }>(`select data->>'occurredAt' as at from orders_outbox.job where name = 'events' order by id`);
  await client.end();
  return rows.map(({ at }) => Date.parse(at));
}

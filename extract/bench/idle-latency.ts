/** How long an event takes in an idle shop, from being published until its handler has committed. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Request } from 'autocannon';
import pg from 'pg';
import { quantile } from './figures.ts';
import type { Options } from './options.ts';
import type { Happened } from './probed-shop.ts';
import { scenarios } from './scenarios.ts';
import type { Stage } from './shop.ts';
import { startSide } from './side.ts';

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

export async function idleLatency(stage: Stage, { profile }: Pick<Options, 'profile'>): Promise<Latency> {
  const databaseUrl = await stage.database('latency');
  const handledAt: number[] = [];
  const happened = new Map<Happened['what'], () => void>();
  const shop = await startSide({ name: 'probed shop', script: 'extract/bench/probed-shop.ts', env: stage.settings(databaseUrl), profile, heard });
  const requests = scenarios.find(({ part }) => part === 'orders')!.requests(stage).flat();
  for (const request of requests.slice(0, WARM_UP + ORDERS)) {
    const all = (['handled', 'waiting'] as const).map(async (what) => new Promise<void>((resolve) => happened.set(what, resolve)));
    await place(shop.url, request);
    await Promise.all(all);
    await sleep(PAUSE_MS.least + Math.random() * (PAUSE_MS.most - PAUSE_MS.least));
  }
  await shop.stop();
  const publishedAt = await publicationsIn(databaseUrl);
  const latencies = publishedAt.map((at, index) => handledAt[index]! - at).slice(WARM_UP);
  return { orders: latencies.length, p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99), max: quantile(latencies, 1) };

  function heard(message: unknown): void {
    const { what, at } = message as Happened;
    if (what === 'handled') handledAt.push(at);
    happened.get(what)!();
  }
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

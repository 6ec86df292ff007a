/**
 * What traces cost. Tracing that is switched off leaves a question in each place where a span could begin or end, `is there any?`:
 * those that a request passes are counted, and one is timed. A build without them, measured beside this one, would differ
 * by less than two rounds of the same build do. What tracing costs that is switched on shows in a shop that sends its spans to a
 * collector beside one that does not.
 */
import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Backlog } from './backlog.ts';
import { compare, type Contender, type Rounds } from './compare.ts';
import { load } from './load.ts';
import type { Options } from './options.ts';
import { type Scenario, scenarios } from './scenarios.ts';
import { type Stage, startShop } from './shop.ts';
import { startSide } from './side.ts';

export interface TracingCost {
  /** Nanoseconds that asking takes. */
  readonly nsPerPlace: number;
  readonly requests: readonly {
    readonly title: string;
    /** Places that a request and all that follows from it pass. */
    readonly places: number;
    readonly off: Rounds;
    readonly on: Rounds;
  }[];
}

type TracingOptions = Pick<Options, 'rounds' | 'seconds' | 'warmUp' | 'profile'>;

const run = promisify(execFile);
const traced = scenarios.filter(({ part }) => part === 'product' || part === 'orders');
const COUNTED_SECONDS = 2;

export async function tracingCost(stage: Stage, options: TracingOptions, prepare: () => Promise<void>, progress: (line: string) => void): Promise<TracingCost> {
  const { stdout } = await run(process.execPath, [join(import.meta.dirname, 'untraced-place.ts')]);
  const { nsPerPlace } = JSON.parse(stdout) as { nsPerPlace: number };
  const collector = await startCollector();
  const [off, on] = [await open(stage, 'untraced', options.profile), await open(stage, 'traced', options.profile, { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })];
  const requests = [];
  for (const scenario of traced) {
    progress(`${scenario.title}, traced and not …`);
    const places = await placesPassed(stage, scenario);
    const { shop, yardstick } = await compare(on, off, { ...options, scenario, requests: scenario.requests(stage), prepare, progress });
    requests.push({ title: scenario.title, places, off: yardstick, on: shop });
  }
  for (const { side, backlog } of [off, on]) {
    await backlog.close();
    await side.stop();
  }
  if (collector.received() === 0) throw new Error('the collector got nothing: was anything traced?');
  collector.close();
  return { nsPerPlace, requests };
}

async function open(stage: Stage, name: string, profile: string | undefined, more: Record<string, string> = {}): Promise<Contender> {
  const databaseUrl = await stage.database(name);
  return { side: await startShop({ ...stage.settings(databaseUrl), ...more }, profile, name), backlog: await Backlog.open(databaseUrl) };
}

async function placesPassed(stage: Stage, { part, leavesWork, requests }: Scenario): Promise<number> {
  const databaseUrl = await stage.database(`counted_${part}`);
  let heard: (passed: number) => void = () => undefined;
  const side = await startSide({ name: 'counting shop', script: 'extract/bench/counting-shop.ts', env: stage.settings(databaseUrl), heard: (message) => heard((message as { passed: number }).passed) });
  const passed = async () =>
    new Promise<number>((resolve) => {
      heard = resolve;
      side.tell('passed');
    });
  const backlog = await Backlog.open(databaseUrl);
  const before = await passed();
  const { answered } = await load(side.url, requests(stage), COUNTED_SECONDS);
  if (leavesWork) await backlog.drained();
  const done = leavesWork ? await backlog.orders() : answered;
  const places = ((await passed()) - before) / done;
  await backlog.close();
  await side.stop();
  return places;
}

/** Takes what it gets and keeps none of it. */
async function startCollector(): Promise<{ url: string; received(): number; close(): void }> {
  let received = 0;
  const server = createServer((request, response) => {
    received += 1;
    request.resume().once('end', () => response.setHeader('content-type', 'application/json').end('{}'));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received: () => received,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

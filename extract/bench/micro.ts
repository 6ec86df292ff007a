/**
 * `npm run bench:micro`: the shop beside a hand-written single file that does the same SQL work, on the same
 * machine in the same minutes, and what the shop alone takes. Ends with 1 when a floor is missed, with 2 when it
 * is asked for what it does not know. See docs/benchmarks.md.
 */
import { execFile } from 'node:child_process';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Backlog } from './backlog.ts';
import { compare, type Contender } from './compare.ts';
import type { EventFlow } from './flow/event-flow.ts';
import { fullHouse, ORDERS, PRODUCTS, QUESTIONS, USERS } from './full-house.ts';
import { idleLatency } from './idle-latency.ts';
import { idleUsage } from './idle-memory.ts';
import { CONNECTIONS } from './load.ts';
import { outboxCost } from './outbox-cost.ts';
import { NORMAL_AFTER_MS, overload, TIMES } from './overload.ts';
import { type Options, readOptions, usage } from './options.ts';
import { atLeast, atMost, type Finding, ofComparison, table, told } from './report.ts';
import { scenarios } from './scenarios.ts';
import { type Server, startServer } from './server.ts';
import { setStage, type Stage, startShop } from './shop.ts';
import { type Side, startSide, stopSides } from './side.ts';
import { ORDERS_PER_SECOND, SIGNING_IN, storm } from './storm.ts';

const MOST_CALL_US = 2;
const MOST_LATENCY_MS = 10;
const MOST_EVENT_MS = { p50: 5, p99: 25 };
const MOST_DRAIN_SECONDS = 15;
const MOST_RESIDENT_MIB = 220;
const MOST_STORM_RATIO = 1.5;
const LEAST_GOODPUT = 0.9;
const LEAST_WITH_OUTBOX = 0.8;
const MOST_SIZE_RATIO = 1.5;
const MOST_REFUSAL_MS = 50;

const run = promisify(execFile);
const options = optionsOrUsage();
const findings: Finding[] = [];
/** Everything that was measured, for machines. */
const results: Record<string, unknown> = {};
const loadBefore = loadavg()[0]!;
const server = await startServer();
try {
  await measure(server);
} catch (error) {
  // Stopping may fail for the same reason, and must not hide it.
  process.stderr.write(`The benchmark broke: ${(error as Error).stack}\n`);
  process.exitCode = 1;
} finally {
  await stopSides();
  await server.stop();
}
const machine = { node: process.version, postgresql: server.version, processors: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`, loadBefore, loadAfter: loadavg()[0]! };
print();
if (findings.some(({ holds }) => holds === false)) process.exitCode = 1;

function optionsOrUsage(): Options {
  try {
    return readOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${usage}\n`);
    process.exit(2);
  }
}

function wanted(...parts: readonly Options['only'][number][]): boolean {
  return parts.some((part) => options.only.includes(part));
}

function progress(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function measure(database: Server): Promise<void> {
  if (wanted('call')) await measureCalls();
  progress('Making the databases …');
  const stage = await setStage(database);
  if (wanted('events')) await measureEvents(database);
  if (wanted('latency')) await measureLatency(stage);
  if (wanted('storm')) await measureStorm(stage);
  if (wanted('overload')) await measureOverload(stage);
  if (wanted('outbox')) await measureOutbox(stage);
  if (wanted('size')) await measureSize(stage);
  if (wanted('memory', 'product', 'list', 'orders')) await measureShop(database, stage);
}

async function measureCalls(): Promise<void> {
  progress('Contract calls …');
  const { stdout } = await run(process.execPath, [join(import.meta.dirname, 'contract-call.ts')]);
  const added = JSON.parse(stdout) as Record<string, number>;
  results['call'] = added;
  for (const [operation, us] of Object.entries(added)) findings.push(atMost(`a call of ${operation} in process adds`, us, 'µs', MOST_CALL_US));
}

async function measureEvents(database: Server): Promise<void> {
  progress('Events at a rate, and many that wait …');
  const env = { ...process.env, DATABASE_URL: await database.create('events'), DATABASE_ROLE_PREFIX: `${database.rolePrefix}e_`, PORT: '0' };
  const { stdout } = await run(process.execPath, [join(import.meta.dirname, 'flow', 'event-flow.ts')], { env });
  const { atRate, drainSeconds } = (results['events'] = JSON.parse(stdout.trim().split('\n').at(-1)!) as EventFlow);
  findings.push(atMost('commit to handled at 200 events/s, p50', atRate.p50, 'ms', MOST_EVENT_MS.p50));
  findings.push(atMost('commit to handled at 200 events/s, p99', atRate.p99, 'ms', MOST_EVENT_MS.p99));
  findings.push(atMost('100,000 waiting events are handled within', drainSeconds, 's', MOST_DRAIN_SECONDS));
}

async function measureLatency(stage: Stage): Promise<void> {
  progress('Events in an idle shop …');
  const { orders, p50, p99, max } = (results['latency'] = await idleLatency(stage));
  findings.push(atMost(`event to handled, idle, median of ${orders}`, p50, 'ms', MOST_LATENCY_MS));
  findings.push(told('event to handled, idle, p99 / max', `${p99.toFixed(2)} / ${max.toFixed(2)} ms`));
}

async function measureStorm(stage: Stage): Promise<void> {
  progress(`Checkout while ${SIGNING_IN} sign in …`);
  const databaseUrl = await stage.database('storm');
  const shop = await contender(await startShop(stage.settings(databaseUrl), options.profile), databaseUrl);
  const { steady, full, checksPerSecond, refusedPerSecond } = (results['storm'] = await storm(shop, stage, options, progress));
  await shop.backlog.close();
  await shop.side.stop();
  for (const [what, { alone, during }] of [[`${ORDERS_PER_SECOND} orders/s`, steady], ['As many orders as it takes', full]] as const) {
    findings.push(told(`${what}, ms p50 / p99`, `${alone.p50.toFixed(1)} / ${alone.p99.toFixed(1)}`));
    findings.push(told(`  while ${SIGNING_IN} sign in, ms p50 / p99`, `${during.p50.toFixed(1)} / ${during.p99.toFixed(1)}`));
  }
  findings.push(told('  passwords checked / sign-ins refused meanwhile', `${checksPerSecond.toFixed()}/s / ${refusedPerSecond.toFixed()}/s`));
  findings.push(atMost('  p99 of as many orders as it takes, beside that without sign-ins', full.during.p99 / full.alone.p99, 'x', MOST_STORM_RATIO));
}

async function measureOverload(stage: Stage): Promise<void> {
  progress(`${TIMES} times the orders that the shop can take …`);
  const databaseUrl = await stage.database('overload');
  const shop = await contender(await startShop(stage.settings(databaseUrl), options.profile), databaseUrl);
  const { peak, goodput, taken, refused, before, after } = (results['overload'] = await overload(shop, stage, options, progress));
  await shop.backlog.close();
  await shop.side.stop();
  findings.push(told('as many orders as the shop takes, answers/s', peak.toFixed()));
  findings.push(atLeast(`  taken when ${TIMES} times as many are sent, beside that`, goodput / peak, 'x', LEAST_GOODPUT));
  findings.push(told('  those taken, ms p50 / p99', `${taken.p50.toFixed(1)} / ${taken.p99.toFixed(1)}`));
  findings.push(atMost('  the others are refused within, p99', refused.p99, 'ms', MOST_REFUSAL_MS));
  findings.push(told('  at half the peak, before it, ms p50 / p99', `${before.p50.toFixed(1)} / ${before.p99.toFixed(1)}`));
  findings.push(told(`  ${NORMAL_AFTER_MS / 1_000} s after it, ms p50 / p99`, `${after.p50.toFixed(1)} / ${after.p99.toFixed(1)}`));
}

async function measureOutbox(stage: Stage): Promise<void> {
  progress('Orders with and without their event …');
  const { published, unpublished } = (results['outbox'] = await outboxCost(stage, options, progress));
  findings.push(told('POST /orders without handling, answers/s, without its event', unpublished.toFixed()));
  findings.push(atLeast('  with its event, beside that', published / unpublished, 'x', LEAST_WITH_OUTBOX));
}

async function measureSize(stage: Stage): Promise<void> {
  const found = (results['size'] = await fullHouse(stage, options, progress));
  for (const question of QUESTIONS) {
    const { few, many } = found[question];
    findings.push(told(`${question}, ms p50 / p99, with the demo data`, `${few.p50.toFixed(2)} / ${few.p99.toFixed(1)}`));
    findings.push(told(`  with ${PRODUCTS / 1e6} M products, ${USERS / 1e3} k users, ${ORDERS / 1e6} M orders`, `${many.p50.toFixed(2)} / ${many.p99.toFixed(1)}`));
    findings.push(atMost('  p50 beside that with the demo data', many.p50 / few.p50, 'x', MOST_SIZE_RATIO));
  }
}

async function measureShop(database: Server, stage: Stage): Promise<void> {
  const [shopUrl, yardstickUrl] = [await stage.database('cleave'), await stage.database('yardstick')];
  const shop = await startShop(stage.settings(shopUrl), options.profile);
  if (wanted('memory')) await measureMemory(shop, 'fresh');
  if (wanted('product', 'list', 'orders')) {
    const env = { DATABASE_URL: yardstickUrl, JWT_PUBLIC_KEY: stage.publicKey };
    const yardstick = await startSide({ name: 'yardstick', script: 'extract/bench/yardstick.ts', env, profile: options.profile });
    const contenders = [await contender(shop, shopUrl), await contender(yardstick, yardstickUrl)] as const;
    await measureScenarios(database, stage, ...contenders);
    for (const { backlog } of contenders) await backlog.close();
    await yardstick.stop();
    if (wanted('memory')) await measureMemory(shop, 'after all that');
  }
  await shop.stop();
}

async function contender(side: Side, databaseUrl: string): Promise<Contender> {
  return { side, backlog: await Backlog.open(databaseUrl) };
}

async function measureScenarios(database: Server, stage: Stage, shop: Contender, yardstick: Contender): Promise<void> {
  const { rounds, seconds, warmUp } = options;
  for (const scenario of scenarios.filter(({ part }) => wanted(part))) {
    progress(`${scenario.title}: ${warmUp} s of warm-up, then ${rounds} rounds of ${seconds} s each …`);
    const requests = scenario.requests(stage);
    const comparison = await compare(shop, yardstick, { scenario, requests, rounds, seconds, warmUp, prepare: async () => database.checkpoint(), progress });
    results[scenario.part] = comparison;
    findings.push(...ofComparison(scenario.title, scenario.floor, comparison.shop, comparison.yardstick));
  }
}

/** Only the fresh shop is held to the floor: how much a process keeps after load is the allocator's affair. */
async function measureMemory(shop: Side, when: 'fresh' | 'after all that'): Promise<void> {
  progress(`The idle shop, ${when} …`);
  const idle = await idleUsage(shop);
  results[`idle, ${when}`] = idle;
  const what = `the idle shop, ${when}`;
  if (when === 'fresh') findings.push(atMost(`${what}, resident`, idle.residentMiB, 'MiB', MOST_RESIDENT_MIB));
  else findings.push(told(`${what}, resident`, `${idle.residentMiB.toFixed(1)} MiB`));
  findings.push(told(`${what}, CPU`, `${idle.cpuPercent.toFixed(2)} % of a core`));
}

function print(): void {
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ machine, options, results, findings }, undefined, 2)}\n`);
    return;
  }
  const { node, postgresql, processors, loadAfter } = machine;
  process.stdout.write(`\nNode ${node}, PostgreSQL ${postgresql}, ${processors}; load average ${loadBefore.toFixed(1)} before, ${loadAfter.toFixed(1)} after\n`);
  process.stdout.write(`${CONNECTIONS} connections, closed loop; median (min-max) of ${options.rounds} rounds of ${options.seconds} s\n\n${table(findings)}\n`);
}

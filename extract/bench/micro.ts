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
import { fullHouse } from './full-house.ts';
import { gatewayCost } from './gateway-cost.ts';
import { idleLatency, latencyApart } from './idle-latency.ts';
import { idleUsage } from './idle-memory.ts';
import { CONNECTIONS } from './load.ts';
import { outboxCost } from './outbox-cost.ts';
import { overload, TIMES } from './overload.ts';
import { joinOneGroup } from './one-group.ts';
import { type Options, type Part, parts, readOptions, usage } from './options.ts';
import { type Machine, type Section, writePage } from './page.ts';
import { type Finding, ofComparison, table } from './report.ts';
import type { RemoteCalls } from './remote-call.ts';
import { scenarios } from './scenarios.ts';
import { type Server, startServer } from './server.ts';
import { setStage, type Stage, startShop } from './shop.ts';
import { type Side, startSide, stopSides } from './side.ts';
import { SIGNING_IN } from './sign-ins.ts';
import { storm } from './storm.ts';
import { tracingCost } from './tracing-cost.ts';
import { ofCalls, ofEvents, ofGateway, ofLatency, ofLatencyApart, ofMemory, ofOutbox, ofOverload, ofRemoteCalls, ofSize, ofStorm, ofTracing } from './verdicts.ts';

const run = promisify(execFile);
const options = optionsOrUsage();
const sections = new Map<Part, Section>();
/** Everything that was measured, for machines. */
const results: Record<string, unknown> = {};
const loadBefore = loadavg()[0]!;
const server = await startServer(await joinOneGroup());
const machine: Machine = { node: process.version, postgresql: server.version, cores: cpus().length, processor: cpus()[0]?.model ?? 'unknown', grouping: server.grouping };
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
const measured = parts.flatMap((part) => sections.get(part) ?? []);
print();
// What was measured before it broke is whole: each part is entered when it has ended.
if (options.write) await writePage(measured);
if (measured.some(({ findings }) => findings.some(({ holds }) => holds === false))) process.exitCode = 1;

function optionsOrUsage(): Options {
  try {
    return readOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${usage}\n`);
    process.exit(2);
  }
}

function wanted(...some: readonly Part[]): boolean {
  return some.some((part) => options.only.includes(part));
}

function progress(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** A part that is measured twice, such as the idle shop, has its findings in one section. */
async function section(part: Part, findingsOf: () => Promise<Finding[]>): Promise<void> {
  if (!wanted(part)) return;
  const findings = await findingsOf();
  const earlier = sections.get(part);
  const { rounds, seconds } = options;
  sections.set(part, { part, at: new Date(), machine, rounds, seconds, loadBefore, loadAfter: loadavg()[0]!, findings: [...(earlier?.findings ?? []), ...findings] });
}

/** Keeps a result for machines. */
function kept<T>(name: string, result: T): T {
  results[name] = result;
  return result;
}

async function measure(database: Server): Promise<void> {
  await section('call', async () => ofCalls(kept('call', await callCosts())));
  await section('events', async () => ofEvents(kept('events', await eventFlow(database))));
  await section('remote', async () => ofRemoteCalls(kept('remote', await remoteCalls())));
  if (options.only.every((part) => part === 'call' || part === 'remote' || part === 'events')) return;
  progress('Making the databases …');
  const stage = await setStage(database);
  await section('latency', async () => {
    progress('Events in an idle shop …');
    return ofLatency(kept('latency', await idleLatency(stage, options)));
  });
  await section('apart', async () => {
    progress('Events to another process, in an idle shop …');
    return ofLatencyApart(kept('apart', await latencyApart(stage, options)));
  });
  await section('gateway', async () => {
    progress('The gateway beside a bare proxy …');
    return ofGateway(kept('gateway', await gatewayCost(stage, options, progress)));
  });
  await section('storm', async () => {
    progress(`Checkout while ${SIGNING_IN} sign in …`);
    return ofStorm(kept('storm', await withShop(stage, 'storm', async (shop) => storm(shop, stage, options, async () => database.checkpoint(), progress))));
  });
  await section('overload', async () => {
    progress(`${TIMES} times the orders that the shop can take …`);
    return ofOverload(kept('overload', await withShop(stage, 'overload', async (shop) => overload(shop, stage, options, progress))));
  });
  await section('outbox', async () => {
    progress('Orders with and without their event …');
    return ofOutbox(kept('outbox', await outboxCost(stage, options, async () => database.checkpoint(), progress)));
  });
  await section('tracing', async () => {
    progress('Tracing, switched off and on …');
    return ofTracing(kept('tracing', await tracingCost(stage, options, async () => database.checkpoint(), progress)));
  });
  await section('size', async () => ofSize(kept('size', await fullHouse(stage, options, async () => database.checkpoint(), progress))));
  if (wanted('memory', 'product', 'list', 'orders')) await measureBeside(database, stage);
}

async function callCosts(): Promise<Record<string, number>> {
  progress('Contract calls …');
  const { stdout } = await run(process.execPath, [...profiling('contract-call'), join(import.meta.dirname, 'contract-call.ts')]);
  return JSON.parse(stdout) as Record<string, number>;
}

async function remoteCalls(): Promise<RemoteCalls> {
  progress('Contract calls to another process …');
  const { stdout } = await run(process.execPath, [...profiling('remote-call'), join(import.meta.dirname, 'remote-call.ts')]);
  return JSON.parse(stdout) as RemoteCalls;
}

async function eventFlow(database: Server): Promise<EventFlow> {
  progress('Events at a rate, and many that wait …');
  const env = { ...process.env, DATABASE_URL: await database.create('events'), DATABASE_ROLE_PREFIX: `${database.rolePrefix}e_`, PORT: '0' };
  const { stdout } = await run(process.execPath, [...profiling('event-flow'), join(import.meta.dirname, 'flow', 'event-flow.ts')], { env });
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as EventFlow;
}

/** Node's flags for a process that is no side. */
function profiling(name: string): string[] {
  return options.profile === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', options.profile, '--cpu-prof-name', `${name}-${Date.now()}.cpuprofile`];
}

async function withShop<T>(stage: Stage, name: string, work: (shop: Contender) => Promise<T>): Promise<T> {
  const databaseUrl = await stage.database(name);
  const shop = await contender(await startShop(stage.settings(databaseUrl), options.profile, name), databaseUrl);
  const result = await work(shop);
  await shop.backlog.close();
  await shop.side.stop();
  return result;
}

async function measureBeside(database: Server, stage: Stage): Promise<void> {
  const [shopUrl, yardstickUrl] = [await stage.database('cleave'), await stage.database('yardstick')];
  const shop = await startShop(stage.settings(shopUrl), options.profile);
  await section('memory', async () => memory(shop, 'fresh'));
  if (wanted('product', 'list', 'orders')) {
    const env = { DATABASE_URL: yardstickUrl, JWT_PUBLIC_KEY: stage.publicKey };
    const yardstick = await startSide({ name: 'yardstick', script: 'extract/bench/yardstick.ts', env, profile: options.profile });
    const contenders = [await contender(shop, shopUrl), await contender(yardstick, yardstickUrl)] as const;
    await measureScenarios(database, stage, ...contenders);
    for (const { backlog } of contenders) await backlog.close();
    await yardstick.stop();
    await section('memory', async () => memory(shop, 'after all that'));
  }
  await shop.stop();
}

async function contender(side: Side, databaseUrl: string): Promise<Contender> {
  return { side, backlog: await Backlog.open(databaseUrl) };
}

async function measureScenarios(database: Server, stage: Stage, shop: Contender, yardstick: Contender): Promise<void> {
  const { rounds, seconds, warmUp } = options;
  for (const scenario of scenarios) {
    await section(scenario.part, async () => {
      progress(`${scenario.title}: ${warmUp} s of warm-up, then ${rounds} rounds of ${seconds} s each …`);
      const comparison = await compare(shop, yardstick, { scenario, requests: scenario.requests(stage), rounds, seconds, warmUp, prepare: async () => database.checkpoint(), progress });
      return ofComparison(scenario.title, scenario.floor, kept(scenario.part, comparison));
    });
  }
}

async function memory(shop: Side, when: 'fresh' | 'after all that'): Promise<Finding[]> {
  progress(`The idle shop, ${when} …`);
  return ofMemory(kept(`idle, ${when}`, await idleUsage(shop)), when);
}

function print(): void {
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ machine, options, results, sections: measured }, undefined, 2)}\n`);
    return;
  }
  if (measured.length === 0) return;
  process.stdout.write(`\nNode ${machine.node}, PostgreSQL ${machine.postgresql}, all ${machine.grouping}, ${machine.cores} x ${machine.processor}; load average ${loadBefore.toFixed(1)} before, ${loadavg()[0]!.toFixed(1)} after\n`);
  process.stdout.write(`${CONNECTIONS} connections, closed loop; median (min-max) of ${options.rounds} rounds of ${options.seconds} s\n\n`);
  process.stdout.write(`${table(measured.flatMap(({ findings }) => findings))}\n`);
}

/**
 * How far a failure reaches. A deployment is under load while one of its services is killed, hangs or is slow, one after the other, and
 * every public operation is asked all the time:
 *
 *   before: all is well, for comparison --> fault: the service is ill --> after: it is well again, until every operation is as before
 *
 * What was acknowledged meanwhile stands in the journal of those who trade, and in the notes of those who ask.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { projectRoot } from '../../src/host/discover.ts';
import { quantile } from '../bench/figures.ts';
import { type Outage, outageOf, type Verdict } from '../plan/outage.ts';
import { readShop } from '../plan/shop.ts';
import { Api } from '../torture/api.testing.ts';
import { audit } from '../torture/audit.testing.ts';
import { Books } from '../torture/books.testing.ts';
import { Customers } from '../torture/customers.testing.ts';
import { Journal } from '../torture/journal.testing.ts';
import type { Place } from '../torture/places.testing.ts';
import { Random } from '../torture/random.testing.ts';
import { administrator } from '../torture/real-shop.testing.ts';
import { type Finding, holds, type Result } from '../torture/result.testing.ts';
import { PASSWORD, register, setStage } from '../torture/stage.testing.ts';
import { databaseOf, Deployment } from './deployment.testing.ts';
import { gather } from './gathered.testing.ts';
import { operations, type Stage } from './operations.testing.ts';
import { type Note, Prober, type Worth } from './prober.testing.ts';
import { supply } from './supplies.testing.ts';

/** What may become of a service. `crash` and `block` are for a process that is the whole shop. */
export type Fault = 'killed' | 'hung' | 'slow' | 'crash' | 'block';

export interface Case {
  readonly service: string;
  readonly fault: Fault;
}

export interface Reach extends Case {
  readonly routes: Readonly<Record<string, Effect>>;
  /** Milliseconds that each answer of an operation took that needs nothing of the service, before and meanwhile; none where there is no such operation. */
  readonly healthy: { readonly before: readonly number[]; readonly meanwhile: readonly number[] };
}

/** What an operation was worth during a fault, as a rule, and milliseconds from its end (of a kill: from the kill) until it was as before. */
export interface Effect {
  /** How often it was asked meanwhile. */
  readonly asked: number;
  /** `unasked` proves nothing. */
  readonly worth: Worth | 'unasked';
  /** Undefined where it was not asked again, for want of things that it uses up. */
  readonly normalAfterMs: number | undefined;
}

export interface BlastOptions extends Place {
  /** Modules by service. */
  readonly services: Readonly<Record<string, readonly string[]>>;
  readonly cases: readonly Case[];
  readonly seed: number;
  progress(line: string): void;
}

/** The storefront's tables are of the kernel alone. */
const OWNS_NOTHING = 'storefront';
const BEFORE_MS = 2_500;
const FAULT_MS = 5_000;
const SLOW_MS = 500;
const BLOCK_MS = 3_000;
/** Until what watches others has noticed. */
const NOTICED_MS = 300;
const MOST_AFTER_MS = 30_000;
/** Nothing is left by then of what is used up. */
const USED_UP_MS = 12_000;
const MOST_SLOWER = 2;
const LOAD = { clients: 2, restMs: 250 };
/** Of each thing that an operation uses up, for one case. */
const SUPPLIES = 12;
/** Nobody would wait for 15 s, and a run not either. Events that are tried more often get more tries: some four minutes by default, a minute and a half here. */
const settings = { UPSTREAM_TIMEOUT_MS: '2000', EVENT_RETRY_MAX_MS: '1000', EVENT_MAX_ATTEMPTS: '100', SAGA_RETRY_MAX_MS: '1000' };

export interface Blast extends Result {
  readonly reaches: readonly Reach[];
}

export async function blast({ adminUrl, rolePrefix, services, cases, seed, progress }: BlastOptions): Promise<Blast> {
  const deployment = await Deployment.start({ services, adminUrl, rolePrefix, settings });
  const placed = Object.entries(services).flatMap(([service, modules]) => modules.map((module) => [module, databaseOf(adminUrl, service)] as const));
  const apart = Object.fromEntries(placed.filter(([module]) => module !== OWNS_NOTHING));
  const books = new Books(adminUrl, apart);
  const journal = new Journal();
  try {
    const api = new Api({ url: deployment.url, complain: (complaint) => journal.complain(complaint) });
    const traders = await setStage(api, administrator);
    const stage = await probeStage(api);
    const customers = new Customers({ api, stage: traders, journal, random: new Random(seed), ...LOAD });
    const outages = await outagesOf(services);
    const reaches: Reach[] = [];
    const findings: Finding[] = [];
    const acknowledged: string[] = [];
    for (const each of cases) {
      const { reach, found, orders } = await suffer(each, { deployment, api, books, stage, outage: outages.get(each.service) });
      reaches.push(reach);
      findings.push(...found);
      acknowledged.push(...orders);
      progress(told(reach));
    }
    await customers.goHome();
    const rest = await books.untilAtRest();
    await gather(adminUrl, apart);
    return {
      reaches,
      findings: [
        ...findings,
        ...noSlower(reaches),
        holds('the shop came to rest by itself', rest.length === 0, rest.join('; ')),
        { claim: 'each order that was acknowledged to whoever asked is confirmed', violations: await unconfirmed(books, acknowledged) },
        ...(await audit(books, journal, traders, stage.customers.map(({ id }) => id))),
      ],
      figures: [`acknowledged: ${journal.summary}, and ${acknowledged.length} orders of those who asked`],
      journal,
    };
  } finally {
    await books.close();
    await deployment.stop();
    await drop(adminUrl, [...new Set(placed.map(([, url]) => url))]);
  }
}

async function drop(adminUrl: string, urls: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  for (const url of urls) await client.query(`drop database if exists ${pg.escapeIdentifier(new URL(url).pathname.slice(1))} with (force)`);
  await client.end();
}

/** People and products of their own for those who ask: what traders wished for stands in a journal, and is all that may become of theirs. */
async function probeStage(api: Api): Promise<Stage> {
  const stage = await setStage(api, administrator, { customers: 3, products: 4 });
  const username = `p_${Date.now().toString(36)}`;
  const person = await register(api, username);
  return { ...stage, customers: [person, ...stage.customers], products: stage.products.slice(1), shelf: stage.products[0]!, credentials: { username, password: PASSWORD } };
}

/** What the plan says of each service, where there are others. */
async function outagesOf(services: BlastOptions['services']): Promise<Map<string, Outage>> {
  const entries = Object.entries(services);
  if (entries.length === 1) return new Map();
  const shop = await readShop(projectRoot);
  return new Map(entries.map(([service, modules]) => [service, outageOf(shop, new Set(modules))]));
}

interface Sufferer {
  readonly deployment: Deployment;
  readonly api: Api;
  readonly books: Books;
  readonly stage: Stage;
  /** What its plan says that works without the service; undefined where there is nothing else. */
  readonly outage: Outage | undefined;
}

interface Suffered {
  readonly reach: Reach;
  readonly found: readonly Finding[];
  readonly orders: readonly string[];
}

async function suffer({ service, fault }: Case, { deployment, api, books, stage, outage }: Sufferer): Promise<Suffered> {
  const prober = new Prober({ api, books, stage, supplies: await supply({ api, stage }, SUPPLIES) });
  const beganAt = performance.now();
  await sleep(BEFORE_MS);
  const faultAt = performance.now();
  const endedAt = await endOf(fault, service, deployment);
  await untilNormal(prober, faultAt, endedAt);
  await prober.end();
  const from = fault === 'killed' || fault === 'crash' ? faultAt : endedAt;
  const notes = Map.groupBy(prober.notes, ({ route }) => route);
  const window = { faultAt: faultAt + (fault === 'killed' || fault === 'crash' || fault === 'block' ? 0 : NOTICED_MS), endedAt };
  const routes = Object.fromEntries(operations.map(({ route }) => [route, effectOf(notes.get(route) ?? [], window, from)]));
  const planned = new Map(outage?.routes.map((each) => [each.route, each]));
  const untouched = prober.notes.filter(({ route }) => planned.get(route)?.verdict === 'works');
  const taken = (from: number, to: number) => untouched.filter(({ askedAt }) => askedAt >= from && askedAt < to).map(({ askedAt, answeredAt }) => answeredAt - askedAt);
  const reach: Reach = {
    service,
    fault,
    routes,
    healthy: { before: taken(beganAt, faultAt), meanwhile: taken(window.faultAt, endedAt) },
  };
  // Who is slow makes others late: that is no more than was done to it.
  const isAsDone = (worth: Effect['worth']): boolean => fault === 'slow' && worth === 'late';
  const worse = Object.entries(routes).flatMap(([route, { worth }]) => {
    const plan = planned.get(route);
    return plan && !isAsDone(worth) && badness(worth) > badness(plan.verdict) ? [`${route} is ${worth}, where its plan says ${plan.verdict}`] : [];
  });
  return {
    reach,
    found: [
      // One process alone has no plan, and nothing to be held to.
      ...(outage ? [{ claim: `${service} ${fault}: what needs nothing of it works, and the rest is no worse than its plan says`, violations: worse }] : []),
      { claim: `${service} ${fault}: every answer is one that a client may have`, violations: prober.wrong },
    ],
    orders: prober.orders,
  };
}

/** Makes the service ill. @returns when it is well again */
async function endOf(fault: Fault, service: string, deployment: Deployment): Promise<number> {
  switch (fault) {
    case 'killed':
      deployment.signal(service, 'SIGKILL');
      return deployment.untilBack(service);
    case 'crash':
      await deployment.afflict(service, { crash: true });
      return deployment.untilBack(service);
    case 'hung':
      deployment.signal(service, 'SIGSTOP');
      await sleep(FAULT_MS);
      deployment.signal(service, 'SIGCONT');
      return performance.now();
    case 'slow':
      await deployment.afflict(service, { slowMs: SLOW_MS });
      await sleep(FAULT_MS);
      await deployment.afflict(service, { slowMs: 0 });
      return performance.now();
    case 'block':
      await deployment.afflict(service, { blockMs: BLOCK_MS });
      await sleep(BLOCK_MS);
      return performance.now();
  }
}

/** Until each operation that was not as always has been so again. */
async function untilNormal({ notes }: Prober, faultAt: number, endedAt: number): Promise<void> {
  while (performance.now() - endedAt < MOST_AFTER_MS) {
    await sleep(100);
    const ill = notes.filter(({ askedAt, worth }) => askedAt > faultAt && askedAt < endedAt && worth !== 'works').map(({ route }) => route);
    const well = new Set(notes.filter(({ askedAt, worth }) => askedAt > endedAt && worth === 'works').map(({ route }) => route));
    const waited = performance.now() - endedAt;
    if (operations.every(({ route, usesUp }) => !ill.includes(route) || well.has(route) || (usesUp && waited > USED_UP_MS))) return;
  }
}

/**
 * What was most often the case of what was asked meanwhile: who is rarely refused is not refused as a rule. It is as before with the first
 * answer like any other behind the last that was not, and when what was queued has happened.
 */
function effectOf(notes: readonly Note[], { faultAt, endedAt }: { faultAt: number; endedAt: number }, from: number): Effect {
  const meanwhile = notes.filter(({ askedAt }) => askedAt >= faultAt && askedAt < endedAt);
  const counts = [...Map.groupBy(meanwhile, ({ worth }) => worth)].toSorted(([, a], [, b]) => b.length - a.length);
  const ill = meanwhile.filter(({ worth }) => worth !== 'works');
  if (meanwhile.length === 0) return { asked: 0, worth: 'unasked', normalAfterMs: 0 };
  if (ill.length === 0) return { asked: meanwhile.length, worth: 'works', normalAfterMs: 0 };
  const last = Math.max(...ill.map(({ askedAt }) => askedAt));
  const normal = notes.find(({ askedAt, worth }) => askedAt > last && worth === 'works');
  const done = ill.filter(({ worth }) => worth === 'queued').map(({ doneAt }) => doneAt ?? Number.POSITIVE_INFINITY);
  return { asked: meanwhile.length, worth: counts[0]![0], normalAfterMs: normal && Math.max(0, normal.answeredAt - from, ...done.map((at) => at - from)) };
}

/** The plan speaks of a service that is away; to be late, to be queued and to be degraded are ways of working. */
function badness(worth: Effect['worth'] | Verdict): number {
  return { works: 0, late: 1, degraded: 1, queued: 1, '503': 2, none: 3, unasked: 4 }[worth];
}

/** Of all services together, since one case asks too little for a 99th percentile. */
function noSlower(reaches: readonly Reach[]): Finding[] {
  return [...Map.groupBy(reaches, ({ fault }) => fault)].flatMap(([fault, all]) => {
    const [before, meanwhile] = [all.flatMap(({ healthy }) => healthy.before), all.flatMap(({ healthy }) => healthy.meanwhile)];
    if (before.length === 0 || meanwhile.length === 0) return [];
    const [was, is] = [p99(before), p99(meanwhile)];
    return [holds(`${fault}: as a rule no operation that needs nothing of them is slower than twice before`, is <= MOST_SLOWER * was, `the 99th percentile was ${was.toFixed()} ms and is ${is.toFixed()} ms`)];
  });
}

export function p99(times: readonly number[]): number {
  return times.length === 0 ? 0 : quantile(times, 0.99);
}

async function unconfirmed(books: Books, ids: readonly string[]): Promise<string[]> {
  const rows = await books.rows<{ id: string; status: string | null }>(`select wanted.id, o.status from unnest($1::uuid[]) as wanted (id) left join orders.customer_order o using (id) where o.status is distinct from 'confirmed'`, [ids]);
  return rows.map(({ id, status }) => `the order ${id} is ${status ?? 'lost'}`);
}

function told({ service, fault, routes, healthy }: Reach): string {
  const worths = [...Map.groupBy(Object.values(routes), ({ worth }) => worth)].map(([worth, { length }]) => `${length} ${worth}`).join(', ');
  const last = Math.max(...Object.values(routes).map(({ normalAfterMs = 0 }) => normalAfterMs));
  return `${service} ${fault}: ${worths}; all as before after ${(last / 1_000).toFixed(1)} s; p99 of what needs nothing of it ${p99(healthy.before).toFixed()} -> ${p99(healthy.meanwhile).toFixed()} ms`;
}

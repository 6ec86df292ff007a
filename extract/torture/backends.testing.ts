/**
 * Database connections are killed on the server at random moments while customers trade: one, some or all of them. Clients
 * may be told to come later, and nothing worse; seconds after, all is as it was.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pulse } from './customers.testing.ts';
import type { Journal } from './journal.testing.ts';
import type { Place } from './places.testing.ts';
import { type Finding, holds, type Result, spread } from './result.testing.ts';
import { duringTrade, type Harm, type Ordeal } from './trade.testing.ts';

export interface BackendsOptions extends Place {
  /** How often backends are killed. */
  readonly kills: number;
  readonly seed: number;
  readonly clients: number;
  /** Within this time after a loss a customer is served again, from the order to its confirmation; default: 5 s. */
  readonly recoveredMs?: number;
  progress(line: string): void;
}

export const RECOVERED_MS = 5_000;
/** Chance of a kill that takes all connections of the shop. */
const ALL = 0.15;
const MOST_AT_ONCE = 4;
/** One or a few may go unnoticed: what only reads is asked again. */
const MANY_KILLS = 50;
const PAUSE_MS = { least: 0, most: 400 };
const RETELL_EVERY = 10;

export async function backends({ kills, recoveredMs = RECOVERED_MS, adminUrl, rolePrefix, ...options }: BackendsOptions): Promise<Result & { journal: Journal }> {
  return duringTrade({ ...options, harms: kills, adminUrl, settings: { DATABASE_URL: adminUrl, DATABASE_ROLE_PREFIX: rolePrefix } }, async (ordeal) => losses(ordeal, kills, recoveredMs));
}

async function losses(ordeal: Ordeal, kills: number, recoveredMs: number): Promise<Harm> {
  const { shop, customers, journal, random, answers, progress } = ordeal;
  const pulses: Pulse[] = [];
  let killed = 0;
  for (let n = 1; n <= kills; n += 1) {
    await sleep(random.between(PAUSE_MS.least, PAUSE_MS.most));
    killed += await killSome(ordeal);
    pulses.push(await customers.pulse());
    if (n % RETELL_EVERY === 0) progress(`${n} of ${kills} kills, ${killed} backends; ${answers.unavailable} times 503; acknowledged: ${journal.summary}`);
  }
  return {
    findings: [
      holds('there were backends to kill', killed >= kills, `only ${killed} were killed`),
      ...recovered(pulses, recoveredMs),
      holds('clients noticed, and were told to come later', kills < MANY_KILLS || answers.unavailable > 0, '503 was never answered'),
      holds('the shop was not restarted, and answered every request', (await isAlive(shop.life)) && answers.none === 0, `${answers.none} requests were not answered`),
    ],
    figures: [`${kills} kills of ${killed} backends; ${answers.unavailable} times 503`, ...courseOf(pulses)],
  };
}

async function killSome({ books, random }: Ordeal): Promise<number> {
  const victims = await books.rows<{ pid: number }>(`select pid from pg_stat_activity where datname = current_database() and application_name like 'cleave%' order by pid`);
  const drawn = victims.map(({ pid }) => ({ pid, lot: random.next() })).sort((a, b) => a.lot - b.lot);
  const chosen = random.chance(ALL) ? drawn : drawn.slice(0, random.between(1, MOST_AT_ONCE));
  await books.rows('select pg_terminate_backend(pid) from unnest($1::int[]) as victim (pid)', [chosen.map(({ pid }) => pid)]);
  return chosen.length;
}

export function recovered(pulses: readonly Pulse[], mostMs: number): Finding[] {
  const late = (what: keyof Pulse) => pulses.flatMap((pulse, index) => (pulse[what] > mostMs ? [`after kill ${index + 1} it took ${pulse[what].toFixed()} ms`] : []));
  return [
    { claim: `orders were taken and confirmed again within ${mostMs} ms`, violations: late('confirmed') },
    { claim: `every module showed what it keeps again within ${mostMs} ms`, violations: late('shown') },
  ];
}

export function courseOf(pulses: readonly Pulse[]): string[] {
  return [
    spread('from then to an order acknowledged', pulses.map(({ acknowledged }) => acknowledged)),
    spread('to an order confirmed', pulses.map(({ confirmed }) => confirmed)),
    spread('to a page of every module', pulses.map(({ shown }) => shown)),
  ];
}

export async function isAlive({ ended }: { readonly ended: Promise<string> }): Promise<boolean> {
  return Promise.race([ended.then(() => false), sleep(0).then(() => true)]);
}

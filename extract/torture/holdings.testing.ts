/** What a shop that is watched from outside holds: of its process, of its connections, of its tables. */
import { platform } from 'node:os';
import { samplesIn } from '../plan/traffic.ts';
import type { Books } from './books.testing.ts';
import type { Inside } from './inside.ts';
import { levelsOff, type TableSizes, tablesLevelOff } from './level.testing.ts';
import type { RealShop } from './real-shop.testing.ts';
import { type Finding, holds } from './result.testing.ts';

/** Connections of the shop's pools at a moment. */
export interface PoolUse {
  readonly open: number;
  /** At work, or in a transaction. */
  readonly busy: number;
  /** As the pools themselves see it: one that was taken out and never given back does nothing in the database. */
  readonly taken: number;
  /** Work that waits for a connection. */
  readonly waiting: number;
  /** Age of the oldest transaction in which nothing is done just now, in seconds. */
  readonly idleInTransaction: number;
}

export interface Holdings {
  readonly inside: Inside;
  readonly pool: PoolUse;
  readonly sizes: TableSizes;
}

const POOL = `select count(*)::int as open, count(*) filter (where state <> 'idle')::int as busy,
    coalesce(max(extract(epoch from now() - state_change)) filter (where state like 'idle in transaction%'), 0)::float8 as "idleInTransaction"
  from pg_stat_activity where datname = current_database() and application_name like 'cleave%'`;

const TABLES = `select schemaname || '.' || relname as table, n_live_tup::float8 as "liveRows", n_dead_tup::float8 as "deadRows", pg_total_relation_size(relid)::float8 as bytes
  from pg_stat_user_tables order by 1`;

const MEBIBYTE = 2 ** 20;
/** No transaction of the shop waits for anything but the database. */
const FORGOTTEN_AFTER_S = 10;

export async function holdings({ life, url }: RealShop, books: Books): Promise<Holdings> {
  const inside = await life.ask<Inside>('inside');
  const [seen] = await books.rows<Omit<PoolUse, 'taken' | 'waiting'>>(POOL);
  const pool = { ...seen!, ...ofPools(await (await fetch(`${url}/metrics`)).text()) };
  const [{ orders } = { orders: 0 }] = await books.rows<{ orders: number }>('select count(*)::float8 as orders from orders.customer_order');
  return { inside, pool, sizes: { orders, tables: await books.rows(TABLES) } };
}

/** @throws Error where the metrics say nothing of pools */
function ofPools(metrics: string): Pick<PoolUse, 'taken' | 'waiting'> {
  const samples = samplesIn(metrics);
  const sum = (series: string, state?: string): number => {
    const found = samples.filter(({ name, labels }) => name === series && (state === undefined || labels['state'] === state));
    if (found.length === 0) throw new Error(`the metrics have no ${series}`);
    return found.reduce((all, { value }) => all + value, 0);
  };
  return { taken: sum('cleave_pool_connections', 'busy'), waiting: sum('cleave_pool_waiting') };
}

/**
 * Mostly by the low water: what is open at a moment is up to what else the machine does, and what is never closed again raises it.
 * @param isLong takes samples of some minutes: until then a process that leaks nothing has not reached its size, nor its pools theirs
 */
export function holdingsLevelOff(samples: readonly Holdings[], isLong: boolean): Finding[] {
  const of = (value: (sample: Holdings) => number): number[] => samples.map(value);
  const forgotten = Math.max(...of(({ pool }) => pool.idleInTransaction));
  const slow = [
    levelsOff({ name: 'resident memory', values: of(({ inside }) => inside.residentBytes / MEBIBYTE), by: 'median', tolerance: 1.05, slack: 8, unit: 'MiB' }),
    levelsOff({ name: 'what is left on the heap when it is collected', values: of(({ inside }) => inside.heapBytes / MEBIBYTE), by: 'low water', tolerance: 1.05, slack: 4, unit: 'MiB' }),
    levelsOff({ name: 'the number of busy database connections', values: of(({ pool }) => pool.busy), by: 'low water', tolerance: 1, slack: 3, unit: 'connections' }),
    levelsOff({ name: 'the number of open database connections', values: of(({ pool }) => pool.open), by: 'low water', tolerance: 1.1, slack: 5, unit: 'connections' }),
  ];
  const unseen = samples.filter(({ inside }) => inside.descriptors === 0).length;
  return [
    ...(isLong ? slow : []),
    levelsOff({ name: 'the number of connections that are taken out of their pools', values: of(({ pool }) => pool.taken), by: 'low water', tolerance: 1, slack: 3, unit: 'connections' }),
    levelsOff({ name: 'the work that waits for a connection', values: of(({ pool }) => pool.waiting), by: 'low water', tolerance: 1, slack: 3, unit: 'pieces' }),
    holds('open files and sockets could be counted', platform() !== 'linux' || unseen === 0, `${unseen} times they could not`),
    levelsOff({ name: 'the number of open handles, database connections aside,', values: of(({ inside, pool }) => inside.resources - handlesOf(pool)), by: 'low water', tolerance: 1.1, slack: 10, unit: 'handles' }),
    levelsOff({ name: 'the number of open files and sockets, database connections aside,', values: of(({ inside, pool }) => inside.descriptors - pool.open), by: 'low water', tolerance: 1.1, slack: 10, unit: 'descriptors' }),
    holds('no transaction was left open', forgotten < FORGOTTEN_AFTER_S, `one was idle for ${forgotten.toFixed(1)} s`),
    ...tablesLevelOff(samples.map(({ sizes }) => sizes)),
  ];
}

/** A socket, and while it idles the timer that will end it. */
function handlesOf({ open, busy }: PoolUse): number {
  return 2 * open - busy;
}

/** The course of what was held, in a few sentences for whoever reads them. */
export function course(samples: readonly Holdings[]): string[] {
  const at = [0, 0.25, 0.5, 0.75, 1].map((part) => samples[Math.round((samples.length - 1) * part)]!);
  const line = (what: string, value: (sample: Holdings) => number) => `${what}: ${at.map((sample) => value(sample).toFixed()).join(' / ')}`;
  const all = (sizes: TableSizes, of: 'liveRows' | 'deadRows' | 'bytes') => sizes.tables.reduce((sum, table) => sum + table[of], 0);
  return [
    `${samples.length} samples; at the beginning, after each quarter and at the end:`,
    line('resident MiB', ({ inside }) => inside.residentBytes / MEBIBYTE),
    line('heap MiB', ({ inside }) => inside.heapBytes / MEBIBYTE),
    line('handles', ({ inside }) => inside.resources),
    line('files and sockets', ({ inside }) => inside.descriptors),
    line('open connections', ({ pool }) => pool.open),
    line('busy connections', ({ pool }) => pool.busy),
    line('connections taken out of their pools', ({ pool }) => pool.taken),
    line('orders', ({ sizes }) => sizes.orders),
    line('live rows', ({ sizes }) => all(sizes, 'liveRows')),
    line('dead rows', ({ sizes }) => all(sizes, 'deadRows')),
    line('tables in MiB', ({ sizes }) => all(sizes, 'bytes') / MEBIBYTE),
  ];
}

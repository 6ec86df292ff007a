/** Whether what a process holds levels off: pure rules about series of samples, each with a tolerance of its own. */
import { quantile } from '../bench/figures.ts';
import type { Finding } from './result.testing.ts';

/** What is bad when it grows and grows. */
export interface Series {
  readonly name: string;
  /** In the order of time, at even distances. */
  readonly values: readonly number[];
  /** Of a stretch of the series, what is compared: what it is mostly, or its low water, for what a collector empties now and then. */
  readonly by: 'median' | 'low water';
  /** So many times as much is level still, plus `slack`. */
  readonly tolerance: number;
  readonly slack: number;
  readonly unit: string;
}

/** One look at a table. */
export interface TableSize {
  readonly table: string;
  readonly liveRows: number;
  readonly deadRows: number;
  /** With its indexes. */
  readonly bytes: number;
}

/** All tables at one time, and how many orders there were. */
export interface TableSizes {
  readonly orders: number;
  readonly tables: readonly TableSize[];
}

/** At the beginning a process fills its caches and compiles its code: this part of a series is not looked at. */
const WARM_UP = 0.25;
/** Of the rest, the first and the last part are compared. */
const STRETCH = 0.25;

const MEBIBYTE = 2 ** 20;
/** So many times what it should be is level still: autovacuum leaves a fifth of a table dead before it comes, and a page is rarely full. */
const TABLE_TOLERANCE = 1.25;
const ROWS_SLACK = 1_000;
/** A table of few rows that are changed all the time lives on as many pages as it needs between two visits of autovacuum, a minute each. */
const BYTES_SLACK = MEBIBYTE;

/** The early and the late stretch of a series. */
export function stretches<T>(values: readonly T[]): { early: readonly T[]; late: readonly T[] } {
  const warm = values.slice(Math.floor(values.length * WARM_UP));
  const length = Math.max(1, Math.floor(warm.length * STRETCH));
  return { early: warm.slice(0, length), late: warm.slice(-length) };
}

export function levelsOff({ name, values, by, tolerance, slack, unit }: Series): Finding {
  const { early, late } = stretches(values);
  const of = (stretch: readonly number[]) => quantile(stretch, by === 'median' ? 0.5 : 0);
  const [before, after] = [of(early), of(late)];
  const most = before * tolerance + slack;
  const isLevel = after <= most;
  return { claim: `${name} levels off, within ${percent(tolerance)} and ${slack} ${unit}`, violations: isLevel ? [] : [`its ${by} was ${shown(before)} ${unit} early and is ${shown(after)} late; ${shown(most)} would be level`] };
}

/**
 * More orders mean more rows, which are kept as long as they are said to be: an outbox keeps its events for a week. So a table may
 * have rows as orders grow, and bytes as its rows do. What goes beyond is rows that nobody removes, or bloat.
 */
export function tablesLevelOff(samples: readonly TableSizes[]): Finding[] {
  const { early, late } = stretches(samples);
  const [before, after] = [early.at(-1)!, late.at(-1)!];
  const orders = growth(before.orders, after.orders);
  const pairs = after.tables.map((now) => ({ now, old: before.tables.find(({ table }) => table === now.table) ?? { ...now, liveRows: 0, bytes: 0 } }));
  const rows = pairs.flatMap(({ now, old }) => (now.liveRows <= old.liveRows * orders * TABLE_TOLERANCE + ROWS_SLACK ? [] : [`${now.table} went from ${old.liveRows} rows to ${now.liveRows}, while orders became ${shown(orders)} times as many`]));
  const bytes = pairs.flatMap(({ now, old }) => {
    const most = old.bytes * growth(old.liveRows, now.liveRows) * TABLE_TOLERANCE + BYTES_SLACK;
    return now.bytes <= most ? [] : [`${now.table} went from ${mebibytes(old.bytes)} for ${old.liveRows} rows to ${mebibytes(now.bytes)} for ${now.liveRows}, ${now.deadRows} dead; ${mebibytes(most)} would be level`];
  });
  return [
    { claim: `no table has more rows than come with more orders, within ${percent(TABLE_TOLERANCE)} and ${ROWS_SLACK} rows`, violations: rows },
    { claim: `no table takes more room than comes with its rows, within ${percent(TABLE_TOLERANCE)} and ${mebibytes(BYTES_SLACK)}`, violations: bytes },
  ];
}

/** What does not grow may have shrunk. */
function growth(before: number, after: number): number {
  return Math.max(1, after / Math.max(1, before));
}

function percent(tolerance: number): string {
  return `${((tolerance - 1) * 100).toFixed()} %`;
}

function mebibytes(bytes: number): string {
  return `${(bytes / MEBIBYTE).toFixed(1)} MiB`;
}

function shown(value: number): string {
  return String(Math.round(value * 10) / 10);
}

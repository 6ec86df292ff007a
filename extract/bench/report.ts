/** Results, as a table for people. Every figure has been measured in this run. */
import type { Comparison } from './compare.ts';
import type { Spread } from './figures.ts';

/** One line of the report. */
export interface Finding {
  readonly what: string;
  readonly shop: string;
  readonly yardstick: string;
  readonly result: string;
  readonly floor: string;
  /** Absent where nothing is demanded. */
  readonly holds?: boolean;
}

const HEADINGS: Finding = { what: '', shop: 'Cleave', yardstick: 'yardstick', result: 'result', floor: 'floor' };
const COLUMNS = ['what', 'shop', 'yardstick', 'result', 'floor'] as const;

export function table(findings: readonly Finding[]): string {
  const rows = [HEADINGS, ...findings];
  const widths = COLUMNS.map((column) => Math.max(...rows.map((row) => row[column].length)));
  const lines = rows.map((row) => [...COLUMNS.map((column, index) => row[column].padEnd(widths[index]!)), verdict(row)].join('  ').trimEnd());
  return [lines[0], '-'.repeat(Math.max(...lines.map((line) => line.length))), ...lines.slice(1)].join('\n');
}

function verdict({ holds }: Finding): string {
  if (holds === undefined) return '';
  return holds ? 'ok' : 'MISSED';
}

/** Requests a second of both sides and what else there is to say of them. */
export function ofComparison(title: string, floor: number, { shop, yardstick, ratio }: Comparison): Finding[] {
  const findings: Finding[] = [
    { what: `${title}, answers/s`, shop: spread(shop.perSecond), yardstick: spread(yardstick.perSecond), result: `${times(ratio.median)} (${ratio.min.toFixed(2)}-${ratio.max.toFixed(2)})`, floor: `>= ${times(floor)}`, holds: ratio.median >= floor },
    { ...informative(`${title}, ms p50 / p99`), shop: `${shop.p50} / ${shop.p99}`, yardstick: `${yardstick.p50} / ${yardstick.p99}` },
    { ...informative(`${title}, CPU µs each`), shop: spread(shop.cpuUs), yardstick: spread(yardstick.cpuUs), result: times(yardstick.cpuUs.median / shop.cpuUs.median) },
  ];
  if (!shop.throughPerSecond || !yardstick.throughPerSecond) return findings;
  const through = times(shop.throughPerSecond.median / yardstick.throughPerSecond.median);
  return [...findings, { ...informative(`${title}, through/s`), shop: spread(shop.throughPerSecond), yardstick: spread(yardstick.throughPerSecond), result: through }];
}

/** A figure of the shop alone that must not exceed `most`. */
export function atMost(what: string, value: number, unit: string, most: number): Finding {
  return { ...informative(what), result: `${value.toFixed(2)} ${unit}`, floor: `<= ${most} ${unit}`, holds: value <= most };
}

/** A figure of the shop alone that must be at least `least`. */
export function atLeast(what: string, value: number, unit: string, least: number): Finding {
  return { ...informative(what), result: `${value.toFixed(2)} ${unit}`, floor: `>= ${least} ${unit}`, holds: value >= least };
}

export function told(what: string, result: string): Finding {
  return { ...informative(what), result };
}

function informative(what: string): Finding {
  return { what, shop: '', yardstick: '', result: '', floor: '' };
}

function spread({ median, min, max }: Spread): string {
  return `${median.toFixed()} (${min.toFixed()}-${max.toFixed()})`;
}

function times(ratio: number): string {
  return `${ratio.toFixed(2)}x`;
}

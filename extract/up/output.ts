/** What a process says, as it is shown beside what the others say; pure. */
import { isAtLeast, readLogLine } from '../../src/log/log-line.ts';

/**
 * @param line of its standard output: a line of its log, or one for the person at its terminal
 * @returns undefined for what is not worth showing: unless all is to be shown, everything but warnings and worse
 */
export function shown(line: string, all: boolean): string | undefined {
  const logged = readLogLine(line);
  if (!logged) return all && line !== '' ? line : undefined;
  if (all) return line;
  if (!isAtLeast(logged, 'warn')) return undefined;
  const { level, msg = '', err } = logged;
  return `${level}: ${msg}${err?.message === undefined ? '' : ` (${err.message})`}`;
}

/** Each under its heading, as wide as its widest entry. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, n) => Math.max(heading.length, ...rows.map((row) => row[n]!.length)));
  const line = (cells: readonly string[]): string => cells.map((cell, n) => cell.padEnd(widths[n]!)).join('  ').trimEnd();
  return [line(headings), ...rows.map(line)].map((each) => `  ${each}\n`).join('');
}

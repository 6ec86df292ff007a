/** What a process says, as it is shown beside what the others say; pure. */

const WARN = 40;
const LEVELS: Readonly<Record<number, string>> = { 10: 'trace', 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' };

interface LogLine {
  readonly level: number;
  readonly msg?: string;
  readonly err?: { readonly message?: string };
}

/**
 * @param line of its standard output: a line of its log, or one for the person at its terminal
 * @returns undefined for what is not worth showing: unless all is to be shown, everything but warnings and worse
 */
export function shown(line: string, all: boolean): string | undefined {
  const logged = logLine(line);
  if (!logged) return all && line !== '' ? line : undefined;
  if (all) return line;
  if (logged.level < WARN) return undefined;
  const { level, msg = '', err } = logged;
  return `${LEVELS[level] ?? level}: ${msg}${err?.message === undefined ? '' : ` (${err.message})`}`;
}

function logLine(line: string): LogLine | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const value = JSON.parse(line) as Partial<LogLine>;
    return typeof value.level === 'number' ? (value as LogLine) : undefined;
  } catch {
    return undefined;
  }
}

/** Each under its heading, as wide as its widest entry. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, n) => Math.max(heading.length, ...rows.map((row) => row[n]!.length)));
  const line = (cells: readonly string[]): string => cells.map((cell, n) => cell.padEnd(widths[n]!)).join('  ').trimEnd();
  return [line(headings), ...rows.map(line)].map((each) => `  ${each}\n`).join('');
}

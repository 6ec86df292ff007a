/** Reads back what the log writes, for whoever starts a process and shows or judges what it says. */
import { pino } from 'pino';
import type { LogLevel } from './log.ts';

export interface LogLine {
  readonly level: Exclude<LogLevel, 'silent'>;
  readonly msg?: string;
  readonly err?: { readonly message?: string };
}

const severity = pino.levels.values;

/** @returns undefined for a line that is not the log's, or only the beginning of one because the process was killed meanwhile */
export function readLogLine(line: string): LogLine | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const value = JSON.parse(line) as Partial<LogLine>;
    return value.level !== undefined && value.level in severity ? (value as LogLine) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether it is as bad as that, or worse. */
export function isAtLeast({ level }: LogLine, least: LogLine['level']): boolean {
  return severity[level]! >= severity[least]!;
}

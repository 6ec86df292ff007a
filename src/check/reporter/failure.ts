/** One failed assertion in words: which, where, and what was expected. */
import { inspect } from 'node:util';

/** A failed test point, as tap hands it to a reporter. */
export interface Failure {
  /** Its own name after those of the file and the tests around it. */
  readonly fullname: string;
  readonly diag: Readonly<Record<string, unknown>> | null;
}

/** Shown in places of their own, or of no use to the reader. */
const elsewhere = new Set(['at', 'compare', 'test', 'stdio', 'cwd', 'externalID', 'command', 'args', 'jobId', 'tapCaught']);

/** The test's name, what was found instead of what was wanted, and where. */
export function describeFailure({ fullname, diag }: Failure, file: string): string {
  const { diff, source, stack, ...rest } = diag ?? {};
  const details = Object.entries(rest).filter(([key, value]) => !elsewhere.has(key) && value !== null);
  return [
    `✖ ${fullname.startsWith(`${file} > `) ? fullname.slice(file.length + 3) : fullname}`,
    ...(typeof diff === 'string' ? [diff] : []),
    ...(typeof source === 'string' && diff === undefined ? [source] : []),
    ...details.map(([key, value]) => `${key}: ${typeof value === 'string' ? value : inspect(value, { depth: 6 })}`),
    ...(typeof stack === 'string' ? [stack] : []),
  ]
    .map((part) => part.trimEnd())
    .join('\n');
}

/** The process's log: one JSON line per entry, secrets blotted out, times in RFC 3339. */
import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino';
import { blotSecrets } from './secrets.ts';

export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';

/**
 * Makes the root log. Children carry `module`; the lines of a request also `reqId` and `traceId`.
 * @param destination where the lines go; standard output unless given
 */
export function createLog(level: LogLevel, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }), log: blotSecrets },
    serializers: { err: (error: unknown) => describeError(error, 0) },
  };
  return destination ? pino(options, destination) : pino(options);
}

const MAX_CAUSES = 5;

/**
 * Names what is logged of an error instead of copying all its properties: drivers hang whole requests, rows and
 * connection strings on theirs.
 */
function describeError(error: unknown, depth: number): unknown {
  if (!(error instanceof Error)) return error;
  const code = (error as { code?: unknown }).code;
  return {
    type: error.name === 'Error' ? error.constructor.name : error.name,
    message: error.message,
    ...(typeof code === 'string' && { code }),
    stack: error.stack,
    ...(error.cause !== undefined && depth < MAX_CAUSES && { cause: describeError(error.cause, depth + 1) }),
  };
}

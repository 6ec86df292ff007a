/** Tells a database that cannot be reached from a statement that is wrong: the former is nobody's fault and passes. */
import { CallError } from '../contract/errors.ts';

/** Shutdown and crash of the server, too many connections; and what the socket says. */
const CODES = /^(08...|57P0[1235]|53300|25P03|E(CONN(RESET|REFUSED|ABORTED)|PIPE|TIMEDOUT|HOSTUNREACH|NETUNREACH|NOTFOUND|AI_AGAIN))$/;
/** `pg` gives its own errors no code. */
const MESSAGES = /^(Connection terminated|Client has encountered a connection error|Client was closed|timeout exceeded when trying to connect|timeout expired|Query read timeout)/;

/** Said to those who connect only: no statement has been sent. */
const NEVER_SENT_CODES = /^(57P03|53300|E(CONNREFUSED|NOTFOUND|AI_AGAIN))$/;
const NEVER_SENT_MESSAGE = /^timeout exceeded when trying to connect/;

function isNeverSent(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return NEVER_SENT_CODES.test(String(code)) || NEVER_SENT_MESSAGE.test(String(message));
}

function isLostConnection(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return CODES.test(String(code)) || (code === undefined && MESSAGES.test(String(message)));
}

/**
 * What a caller is told of a failure of the database.
 * @param mayBeDone the commit was under way: whether it happened is not known
 * @returns CallError UNAVAILABLE or DEADLINE_EXCEEDED for a lost connection; any other error as it is
 */
export function asCallError(error: unknown, module: string, mayBeDone: boolean): unknown {
  if (!isLostConnection(error)) return error;
  const underWay = !isNeverSent(error);
  if (mayBeDone && underWay) return new CallError('DEADLINE_EXCEEDED', `the connection to the database of ${module} was lost before it confirmed; the work may have been done`, { cause: error });
  return new CallError('UNAVAILABLE', `the database of ${module} cannot be reached; repeat a little later`, { cause: error, underWay });
}

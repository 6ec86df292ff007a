/** Turns whatever stopped the start into sentences for a person. */
import { StartError } from './start-error.ts';

interface SystemError extends Error {
  readonly code?: string;
  readonly syscall?: string;
  readonly address?: string;
  readonly port?: number;
}

const SET_HOST = 'Set HOST to 127.0.0.1 (this machine alone) or 0.0.0.0 (all its addresses).';

type Explanation = Readonly<Record<string, (error: SystemError) => StartError>>;

const listening: Explanation = {
  EADDRINUSE: ({ address, port }) =>
    new StartError(
      `port ${port} on ${address} is in use`,
      `Stop the program that uses it, or take another port: PORT=${(port ?? 8080) + 1} npm start.`,
    ),
  EACCES: ({ address, port }) =>
    new StartError(`this user may not listen on port ${port} of ${address}`, 'Take a port from 1024 on: PORT=8080 npm start.'),
  EADDRNOTAVAIL: ({ address }) => new StartError(`${address} is no address of this machine`, SET_HOST),
  ENOTFOUND: () => new StartError('HOST is no name of this machine', SET_HOST),
  EAI_AGAIN: () => new StartError('HOST cannot be looked up: the name server does not answer', SET_HOST),
};

/** By SQLSTATE, https://www.postgresql.org/docs/current/errcodes-appendix.html. */
const database: Explanation = {
  42501: ({ message }) =>
    new StartError(
      `the database login lacks a right: ${message}`,
      'Let an administrator grant it (for a database: GRANT CREATE ON DATABASE <name> TO <login>), or start without DATABASE_URL.',
    ),
  53300: ({ message }) =>
    new StartError(`the database has no connections left: ${message}`, 'Lower POOL_SIZE, or raise max_connections of the server.'),
};

/** Lines to print: what is wrong and what to do; a stack only where nobody foresaw the failure. */
export function explainFailure(error: unknown): string {
  const known = foreseen(error);
  if (known) return `Cleave cannot start: ${known.message.replace(/\.$/, '')}.\n${known.remedy}\n`;
  const stack = error instanceof Error ? error.stack : undefined;
  return `Cleave cannot start, and the reason was not foreseen. Please report this:\n${stack ?? String(error)}\n`;
}

function foreseen(error: unknown): StartError | undefined {
  if (error instanceof StartError) return error;
  if (!(error instanceof Error)) return undefined;
  const { code = '', syscall } = error as SystemError;
  const known = syscall === 'listen' || syscall === 'getaddrinfo' ? listening : database;
  return known[code]?.(error);
}

/** Making, starting and stopping the server process. Who may do so, and when, is decided in `embedded.ts`. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, closeSync, existsSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { StartError } from '../../settings/start-error.ts';
import type { Binaries } from './binaries.ts';
import { type Home, inHome } from './home.ts';
import { isServing, readPostmaster } from './postmaster.ts';

export const SUPERUSER = 'postgres';
const HOST = '127.0.0.1';
const POLL_MS = 10;
const MAX_ATTEMPTS = 20;
/** Where the port is given: whoever insists on it comes again. */
const MAX_ATTEMPTS_ON_PORT = 5;
const RETRY_MS = 200;
/** Somebody was quicker to take the port, or children of a killed server have not noticed yet and keep its memory. */
const mayPass = /Address already in use|could not bind|shared memory block .* is still in use/;
const LAST_CONNECTIONS_MS = 1_000;
const MAX_LOG_BYTES = 10_000_000;

/** Nothing of our environment reaches PostgreSQL: variables such as PGPORT would change what it does. */
const environment = { PATH: process.env['PATH'] ?? '', LC_ALL: 'C', TZ: 'UTC' };

/** Initialises a cluster with a random superuser password; passwords are asked for everywhere (no `trust`). */
export async function initialise(home: Home, binaries: Binaries, durable: boolean): Promise<void> {
  const { data, password } = inHome(home.folder);
  writeFileSync(password, randomBytes(24).toString('base64url'), { mode: 0o600 });
  if (home.account) chownSync(password, home.account.uid, home.account.gid);
  const flags = [
    ['--pgdata', data],
    ['--username', SUPERUSER],
    ['--pwfile', password],
    ['--auth', 'scram-sha-256'],
    ['--encoding', 'UTF8'],
    ['--locale-provider', 'builtin'],
    ['--builtin-locale', 'C.UTF-8'],
    ['--locale', 'C'],
    ['--text-search-config', 'english'],
    durable ? [] : ['--no-sync'],
  ];
  const child = spawn(binaries.initdb, flags.flat(), { ...home.account, cwd: '/', env: environment, stdio: ['ignore', 'ignore', 'pipe'] });
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
  const [code] = await closed(child);
  if (code === 0) return;
  throw new StartError(
    `the embedded database could not be initialised: ${lastLine(complaint)}`,
    'Check that DATA_DIR has space and can be written to.',
  );
}

/**
 * Starts the server as a process of its own that outlives this one. It listens on the loopback address alone, on the
 * port that it had before, or on another free one when somebody has taken that meanwhile.
 * @param only the port that it must have, because there are others who know it by that
 */
export async function startServer(home: Home, binaries: Binaries, durable: boolean, only?: number): Promise<void> {
  const { log, port: portFile } = inHome(home.folder);
  rotate(log);
  let wanted = rememberedPort(home);
  const attempts = only === undefined ? MAX_ATTEMPTS : MAX_ATTEMPTS_ON_PORT;
  for (let attempt = 1; ; attempt += 1) {
    const port = only ?? (await freePort(wanted));
    const before = existsSync(log) ? statSync(log).size : 0;
    if (await launch(home, binaries, port, durable)) {
      writeFileSync(portFile, String(port));
      return;
    }
    const said = readFileSync(log).subarray(before).toString();
    if (attempt === attempts || !mayPass.test(said)) throw refusedToStart(said, log);
    wanted = 0;
    await sleep(RETRY_MS);
  }
}

/** True once it accepts connections, false when it has given up. */
async function launch(home: Home, binaries: Binaries, port: number, durable: boolean): Promise<boolean> {
  const { data, log } = inHome(home.folder);
  const output = openSync(log, 'a', 0o600);
  const child = spawn(binaries.postgres, ['-D', data, ...settings(port, durable)], {
    ...home.account,
    cwd: '/',
    env: environment,
    detached: true,
    stdio: ['ignore', output, output],
  });
  closeSync(output);
  child.unref();
  const failed = once(child, 'error').then(([error]) => Promise.reject(error as Error));
  failed.catch(() => undefined);
  while (child.exitCode === null && child.signalCode === null) {
    const server = readPostmaster(data);
    if (server?.pid === child.pid && server?.status === 'ready') return true;
    await Promise.race([failed, sleep(POLL_MS)]);
  }
  return false;
}

function settings(port: number, durable: boolean): string[] {
  const values: Record<string, string | number> = {
    listen_addresses: HOST,
    port,
    unix_socket_directories: '',
    // Tests start several shops at a time, each with 60 connections or so.
    max_connections: durable ? 200 : 400,
    shared_buffers: '128MB',
    // Later issues move modules by logical replication.
    wal_level: 'logical',
    random_page_cost: 1.1,
    // What is not in its buffers is in the system's memory as a rule: read at once, it costs less than asking another process to read it.
    io_method: 'sync',
    // Compiling a query takes longer than any query of a shop should.
    jit: 'off',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_line_prefix: '%m [%p] %a ',
    // Statements and details of errors hold customers' data and passwords of roles.
    log_min_error_statement: 'panic',
    log_error_verbosity: 'terse',
    ...(durable ? {} : { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
  };
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/**
 * Stops the server so that everything is written and the data folder is clean. Connections that are about to end are
 * waited for (PostgreSQL's "smart" shutdown), then those that are left are ended ("fast"). True when it is over.
 */
export async function stopServer(home: Home, timeoutMs: number): Promise<boolean> {
  for (const [signal, patienceMs] of [['SIGTERM', LAST_CONNECTIONS_MS], ['SIGINT', timeoutMs]] as const) {
    const server = readPostmaster(inHome(home.folder).data);
    if (!server || !isServing(server.pid, inHome(home.folder).data)) return true;
    tell(server.pid, signal);
    if (await untilGone(home, patienceMs)) return true;
  }
  return false;
}

/** The signal goes to a process that may have ended since it was looked at. */
function tell(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Waits until no server serves the home; false when one still does after `timeoutMs`. */
export async function untilGone(home: Home, timeoutMs: number): Promise<boolean> {
  const { data } = inHome(home.folder);
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const server = readPostmaster(data);
    if (!server || !isServing(server.pid, data)) return true;
    if (Date.now() > deadline) return false;
    await sleep(POLL_MS);
  }
}

export function superuserUrl(home: Home, port: number, database: string): string {
  const password = readFileSync(inHome(home.folder).password, 'utf8').trim();
  return `postgres://${SUPERUSER}:${password}@${HOST}:${port}/${database}`;
}

function rememberedPort(home: Home): number {
  const { port } = inHome(home.folder);
  return existsSync(port) ? Number(readFileSync(port, 'utf8')) || 0 : 0;
}

/** The preferred port when nobody has it, else one that the system picks. */
async function freePort(preferred: number): Promise<number> {
  const probe = createServer();
  try {
    probe.listen(preferred, HOST);
    await once(probe, 'listening');
    return (probe.address() as { port: number }).port;
  } catch (error) {
    if (preferred === 0) throw error;
    return await freePort(0);
  } finally {
    probe.close();
  }
}

function rotate(log: string): void {
  if (existsSync(log) && statSync(log).size > MAX_LOG_BYTES) {
    rmSync(`${log}.old`, { force: true });
    renameSync(log, `${log}.old`);
  }
}

function refusedToStart(said: string, log: string): StartError {
  const reason = said.split('\n').filter((line) => /FATAL|PANIC|ERROR/.test(line)).at(-1) ?? lastLine(said);
  return new StartError(
    `the embedded database does not start: ${reason.trim() || 'it said nothing'}`,
    `Its log is ${log}; look there for the cause.`,
  );
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1)!.trim();
}

async function closed(child: ReturnType<typeof spawn>): Promise<[number | null]> {
  return (await once(child, 'close')) as [number | null];
}

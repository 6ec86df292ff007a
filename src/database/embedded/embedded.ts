/**
 * The embedded PostgreSQL: found, started or adopted, and stopped by the last one who uses it.
 *
 *   absent ----initialise----> stopped
 *   stopped ---start---------> running
 *   running ---adopt---------> running      (left over by a killed process, or started by another one)
 *   running ---stop, last user-> stopped
 *   running ---killed, alone or with its machine--> abandoned: its claim on the data is stale
 *   abandoned -disown--------> stopped
 *   abandoned -keeper--------> running, on the same port (keep-running.ts; whoever lives on it asks for that)
 *
 * Two locks that die with their holder guard it: `postgres.lock` is held exclusively during each of these changes,
 * `postgres.users` is held in common by every process that uses the server, for as long as it does.
 */
import { realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { makeFolder } from '../../make-folder.ts';
import { StartError } from '../../settings/start-error.ts';
import { type Binaries, binariesFor } from './binaries.ts';
import { type FileLock, lock, tryLock } from './file-lock.ts';
import { findHome, type Home, inHome, makeHome } from './home.ts';
import { type Keeper, keepRunning } from './keep-running.ts';
import { disown, isServing, readPostmaster, stillServes } from './postmaster.ts';
import { initialise, startServer, stopServer, superuserUrl, untilGone } from './server.ts';
import { requireSameMajor } from './version.ts';

export interface EmbeddedOptions {
  /** Folder for everything that the database keeps; made when it is missing. Relative to the working folder. */
  readonly dataDir: string;
  /** Lines for the person at the terminal. */
  readonly log?: (line: string) => void;
  /** `false` trades safety against power loss for speed; for tests alone. Counts when the server is started, not adopted. */
  readonly durable?: boolean;
  /** Whether the server is started again when it dies before `stop`; default: no. */
  readonly keepRunning?: boolean;
}

export interface Embedded {
  /** Connection string of the superuser; its password is a secret. */
  readonly url: string;
  /** True when the server ran already. */
  readonly adopted: boolean;
  /** Stops the server cleanly unless another process uses it. Close all connections first. A second call does nothing. */
  stop(): Promise<void>;
}

const DATABASE = 'cleave';
/** Recovery after a crash of the machine can take this long on a slow disk. */
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;
const POLL_MS = 20;

/** @throws StartError when the database cannot run here, with the way out */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const dataDir = makeDataDir(options.dataDir);
  return whileLocked(dataDir, async () => {
    const users = await lock(join(dataDir, 'postgres.users'), 'shared', START_TIMEOUT_MS);
    if (!users) throw busy(dataDir);
    try {
      const running = await findOrStart(dataDir, logOf(options), options.durable ?? true);
      const { home, port, adopted } = running;
      await ensureDatabase(home, port);
      const keeper = options.keepRunning ? keep(dataDir, running, options) : undefined;
      let stopped: Promise<void> | undefined;
      return { url: superuserUrl(home, port, DATABASE), adopted, stop: () => (stopped ??= stopUnlessUsed(dataDir, home, users, keeper)) };
    } catch (error) {
      users.release();
      throw error;
    }
  });
}

interface Running {
  readonly home: Home;
  readonly port: number;
  readonly adopted: boolean;
}

async function findOrStart(dataDir: string, log: (line: string) => void, durable: boolean): Promise<Running> {
  const found = findHome(dataDir);
  const port = found && (await runningPort(found));
  if (found && port !== undefined) return { home: found, port, adopted: true };
  const { home, binaries } = found ? { home: found, binaries: await binariesFor(found.account, log) } : await create(dataDir, log, durable);
  requireSameMajor(home, binaries);
  return { home, port: await startAbandoned(home, binaries, durable), adopted: false };
}

/** @returns its port */
async function startAbandoned(home: Home, binaries: Binaries, durable: boolean, only?: number): Promise<number> {
  const { data } = inHome(home.folder);
  if (readPostmaster(data)) disown(data);
  await startServer(home, binaries, durable, only);
  return readPostmaster(data)!.port!;
}

/** Pools know the server by its port, so it comes back on that one or not at all. Another process that keeps it may be quicker. */
function keep(dataDir: string, { home, port }: Running, options: EmbeddedOptions): Keeper {
  const { data } = inHome(home.folder);
  const log = logOf(options);
  let pid = readPostmaster(data)!.pid;
  const restart = async (): Promise<void> => {
    const now = (await runningPort(home)) ?? (await startAbandoned(home, await binariesFor(home.account, log), options.durable ?? true, port));
    if (now !== port) throw new StartError(`it runs on port ${now}, and is known here by ${port}`, 'Stop whoever started it there, or start the shop again.');
    pid = readPostmaster(data)!.pid;
  };
  return keepRunning({ log, isAlive: () => stillServes(pid, data), restart: async () => whileLocked(dataDir, restart) });
}

function logOf({ log }: EmbeddedOptions): (line: string) => void {
  return log ?? (() => undefined);
}

async function create(dataDir: string, log: (line: string) => void, durable: boolean): Promise<{ home: Home; binaries: Binaries }> {
  let binaries: Binaries | undefined;
  const home = await makeHome(dataDir, log, async (fresh) => {
    binaries = await binariesFor(fresh.account, log);
    await initialise(fresh, binaries, durable);
  });
  return { home, binaries: binaries! };
}

/** The port of the server that serves the home, once it accepts connections; undefined when none does. */
async function runningPort(home: Home): Promise<number | undefined> {
  const { data } = inHome(home.folder);
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const server = readPostmaster(data);
    if (!server || !isServing(server.pid, data)) return undefined;
    if (server.status === 'ready') return server.port;
    if (server.status === 'stopping') await untilGone(home, deadline - Date.now());
    if (Date.now() > deadline) throw stuck(home, server.status);
    await sleep(POLL_MS);
  }
}

/** Also proves that the server is ours: it takes the password that only its home knows. */
async function ensureDatabase(home: Home, port: number): Promise<void> {
  const connectionString = superuserUrl(home, port, 'postgres');
  const client = new pg.Client({ connectionString, application_name: 'cleave:start', connectionTimeoutMillis: START_TIMEOUT_MS });
  try {
    await client.connect();
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [DATABASE]);
    if (!rowCount) await client.query(`create database ${DATABASE}`);
  } catch (error) {
    throw new StartError(
      `the embedded database runs on port ${port} but does not let us in: ${(error as Error).message}`,
      `Its log is ${inHome(home.folder).log}; look there for the cause.`,
      { cause: error },
    );
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function stopUnlessUsed(dataDir: string, home: Home, users: FileLock, keeper: Keeper | undefined): Promise<void> {
  await keeper?.stop();
  await whileLocked(dataDir, async () => {
    users.release();
    const alone = tryLock(join(dataDir, 'postgres.users'), 'exclusive');
    if (!alone) return;
    try {
      if (!(await stopServer(home, STOP_TIMEOUT_MS))) throw stuck(home, 'stopping');
    } finally {
      alone.release();
    }
  });
}

async function whileLocked<T>(dataDir: string, work: () => Promise<T>): Promise<T> {
  const held = await lock(join(dataDir, 'postgres.lock'), 'exclusive', START_TIMEOUT_MS);
  if (!held) throw busy(dataDir);
  try {
    return await work();
  } finally {
    held.release();
  }
}

function makeDataDir(dataDir: string): string {
  const folder = resolve(dataDir);
  try {
    makeFolder(folder);
    tryLock(join(folder, 'postgres.lock'), 'shared')?.release();
    return realpathSync(folder);
  } catch (error) {
    throw new StartError(
      `the data folder ${folder} cannot be written to: ${(error as Error).message}`,
      'Set DATA_DIR to a folder that this user may write to.',
      { cause: error },
    );
  }
}

function busy(dataDir: string): StartError {
  return new StartError(
    `another process has been starting or stopping the database in ${dataDir} for ${START_TIMEOUT_MS / 1000} s`,
    'Wait for it, or end it, and start again.',
  );
}

function stuck(home: Home, status: string): StartError {
  return new StartError(
    `the embedded database has been ${status || 'starting'} for too long`,
    `Its log is ${inHome(home.folder).log}; look there for the cause.`,
  );
}

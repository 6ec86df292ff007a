/**
 * The process: settings, then the database, then the host with its modules; at the end the same backwards.
 *
 *   starting --everything is up--------> running
 *   starting --failure-----------------> what was started is stopped; exit 1 (2 for bad settings)
 *   starting --signal------------------> the step in hand ends, then draining
 *   running  --signal------------------> draining: requests and jobs in hand end, the database stops; exit 0
 *   draining --another signal----------> exit at once, with 128 + the signal's number
 *   draining --it takes far too long---> exit 1
 *
 * Signals are SIGTERM, SIGINT (Ctrl-C) and SIGHUP (the terminal was closed). What is left running by an exit at
 * once, or by SIGKILL, is adopted by the next start.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { flushCompileCache } from 'node:module';
import { constants } from 'node:os';
import { join, resolve } from 'node:path';
import { destination } from 'pino';
import { startEmbedded } from './database/embedded/embedded.ts';
import { discoverModules } from './host/discover.ts';
import { type Host, startHost } from './host/host.ts';
import { createLog } from './log/log.ts';
import type { AnyModule } from './module.ts';
import { startTracing } from './trace/start.ts';
import { checkSettings, explainFailure, kernelSettings, type KernelSettings, type SettingsCheck } from './settings/settings.ts';

/** Ctrl-C reaches this process twice, from the terminal and from npm, which passes it on. */
const ECHO_MS = 1_000;
/** For the database to stop after the host has been drained. */
const GRACE_MS = 35_000;
const BAD_SETTINGS = 2;
const LEAST_FLUSH_MS = 250;

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/** What has been started and how to stop it again, in the order of starting. */
const started: (() => Promise<void>)[] = [];
let stopTimeoutMs = 0;
let drainedFrom = 0;
let signalled = 0;
let isUp = false;

for (const signal of SIGNALS) process.on(signal, onSignal);
// A terminal or a pipe that has gone must not end the shop in the middle of something.
process.stdout.on('error', () => undefined);

try {
  const modules = await discoverModules();
  await start(modules, readSettings(modules));
} catch (error) {
  process.stderr.write(explainFailure(error));
  await stopAll();
  process.exit(1);
}

async function start(modules: readonly AnyModule[], moduleSettings: SettingsCheck['values']): Promise<void> {
  const settings = moduleSettings['kernel'] as KernelSettings;
  stopTimeoutMs = settings.SHUTDOWN_TIMEOUT_MS;
  const adminUrl = settings.DATABASE_URL ?? (await startDatabase(settings.DATA_DIR));
  if (signalled) return drain();
  const keep = settings.NODE_ENV !== 'production' && { keep: keepIn(settings.DATA_DIR) };
  const log = openLog(settings);
  const tracing = await startTracing(settings, log);
  // Once the host has stopped, in what is left of its time: a collector that does not answer must not hold up the end.
  if (tracing) started.push(() => tracing.stop(Math.max(LEAST_FLUSH_MS, drainedFrom + stopTimeoutMs - performance.now())));
  const host = await startHost({ modules, adminUrl, settings, moduleSettings, log, onNote: say, tracing: tracing?.tracing, ...keep });
  started.push(() => stopHost(host, settings.SHUTDOWN_TIMEOUT_MS));
  if (signalled) return drain();
  isUp = true;
  welcome(host);
  // Now and not at the end, which SIGKILL would leave out.
  flushCompileCache();
}

function welcome({ url }: Host): void {
  const signIn = `Sign in   POST ${url}/api/v1/users/authenticate {"username", "password"}`;
  const facts = [`Shop      ${url}`, `API docs  ${url}/docs`, signIn, 'To try    npm run demo', 'To stop   Ctrl-C'];
  say(`\nCleave is up after ${(performance.now() / 1_000).toFixed(1)} s.\n${facts.map((fact) => `  ${fact}\n`).join('')}`);
}

/** @returns the values by module, the kernel's own as `kernel`; ends the process when any of all settings is bad */
function readSettings(modules: readonly AnyModule[]): SettingsCheck['values'] {
  const schemas = { kernel: kernelSettings, ...Object.fromEntries(modules.map((module) => [module.contract.name, module.settings])) };
  const { values, problems, warnings } = checkSettings(schemas, process.env);
  for (const sentence of [...warnings, ...problems]) process.stderr.write(`${sentence}\n`);
  if (problems.length > 0) process.exit(BAD_SETTINGS);
  return values;
}

/** Lines are written in the background, and what is left of them at the end. */
function openLog(settings: KernelSettings): ReturnType<typeof createLog> {
  const output = destination({ dest: 1, sync: false });
  output.on('error', () => undefined);
  const log = createLog(settings.LOG_LEVEL, output);
  process.on('exit', () => output.flushSync());
  process.on('uncaughtException', (error) => {
    log.fatal(error, 'a failure that nobody handled');
    process.exit(1);
  });
  return log;
}

/** Secrets of a development machine, for tools such as the demo. */
function keepIn(dataDir: string) {
  return async (name: string, secret: Readonly<Record<string, string>>): Promise<void> => {
    const folder = resolve(import.meta.dirname, '..', dataDir);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, `${name}.json`), `${JSON.stringify(secret)}\n`, { mode: 0o600 });
  };
}

async function startDatabase(dataDir: string): Promise<string> {
  const project = resolve(import.meta.dirname, '..');
  const embedded = await startEmbedded({ dataDir: resolve(project, dataDir), log: say, keepRunning: true });
  started.push(() => embedded.stop());
  if (embedded.adopted) say('The database was running already and is used as it is.');
  return embedded.url;
}

/** Clients that do not finish what they have begun to send are hung up on when the time is over. */
async function stopHost(host: Host, timeoutMs: number): Promise<void> {
  const hangUp = setTimeout(() => host.http.server.closeAllConnections(), timeoutMs);
  await host.stop().finally(() => clearTimeout(hangUp));
}

function onSignal(signal: (typeof SIGNALS)[number]): void {
  const now = performance.now();
  if (signalled && now - signalled > ECHO_MS) process.exit(128 + constants.signals[signal]);
  if (signalled) return;
  signalled = now;
  say('Stopping: what is in hand is brought to its end. Once more to stop at once.');
  if (isUp) void drain();
}

async function drain(): Promise<void> {
  const allowed = stopTimeoutMs + GRACE_MS;
  drainedFrom = performance.now();
  setTimeout(() => {
    process.stderr.write(`Stopping has taken ${allowed / 1_000} s and is given up. What was acknowledged is kept.\n`);
    process.exit(1);
  }, allowed).unref();
  process.exit((await stopAll()) ? 0 : 1);
}

/** Stops what was started, the last first, and each even when another fails. True when all of it went well. */
async function stopAll(): Promise<boolean> {
  let clean = true;
  for (const stop of started.splice(0).reverse()) {
    await stop().catch((error: unknown) => {
      clean = false;
      process.stderr.write(`Stopping: ${error instanceof Error ? error.message : String(error)}\n`);
    });
  }
  return clean;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** The shop in one process: settings, then the database, then the host with all modules; at the end the same backwards. */
import { resolve } from 'node:path';
import { startEmbedded } from './database/embedded/embedded.ts';
import { discoverModules } from './host/discover.ts';
import { type Host, startHost } from './host/host.ts';
import { announce, keepIn } from './keep.ts';
import { Life, openLog, say } from './life.ts';
import type { AnyModule } from './module.ts';
import { startTracing } from './trace/start.ts';
import { checkSettings, kernelSettings, type KernelSettings, type SettingsCheck } from './settings/settings.ts';

const BAD_SETTINGS = 2;

await Life.run(async (life) => {
  const modules = await discoverModules();
  await start(life, modules, readSettings(modules));
});

async function start(life: Life, modules: readonly AnyModule[], moduleSettings: SettingsCheck['values']): Promise<void> {
  const settings = moduleSettings['kernel'] as KernelSettings;
  life.allowToDrain(settings.SHUTDOWN_TIMEOUT_MS);
  const adminUrl = settings.DATABASE_URL ?? (await startDatabase(life, settings.DATA_DIR));
  if (life.isEnding) return;
  const keep = settings.NODE_ENV !== 'production' && { keep: keepIn(settings.DATA_DIR, settings.DATABASE_URL) };
  const log = openLog(settings);
  const tracing = await startTracing(settings, log);
  // Once the host has stopped, in what is left of its time: a collector that does not answer must not hold up the end.
  if (tracing) life.onEnd(() => tracing.stop(life.leftToDrainMs));
  const host = await startHost({ modules, adminUrl, settings, moduleSettings, log, onNote: say, tracing: tracing?.tracing, ...keep });
  life.onEnd(() => stopHost(host, settings.SHUTDOWN_TIMEOUT_MS));
  if (life.isEnding) return;
  welcome(host, await howToTry(life, host, settings));
}

/** The demo finds a shop in development by itself. */
async function howToTry(life: Life, { url }: Host, { NODE_ENV, DATA_DIR, DATABASE_URL }: KernelSettings): Promise<string> {
  const withdraw = NODE_ENV === 'production' ? undefined : await announce(DATA_DIR, url, DATABASE_URL);
  if (!withdraw) return `BASE_URL=${url} ADMIN_USERNAME=… ADMIN_PASSWORD=… npm run demo`;
  life.onEnd(withdraw);
  return DATA_DIR === kernelSettings.properties.DATA_DIR.default ? 'npm run demo' : `DATA_DIR=${DATA_DIR} npm run demo`;
}

function welcome({ url }: Host, toTry: string): void {
  const signIn = `Sign in   POST ${url}/api/v1/users/authenticate {"username", "password"}`;
  const facts = [`Shop      ${url}`, `API docs  ${url}/docs`, signIn, `To try    ${toTry}`, 'To stop   Ctrl-C'];
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

async function startDatabase(life: Life, dataDir: string): Promise<string> {
  const project = resolve(import.meta.dirname, '..');
  const embedded = await startEmbedded({ dataDir: resolve(project, dataDir), log: say, keepRunning: true });
  life.onEnd(() => embedded.stop());
  if (embedded.adopted) say('The database was running already and is used as it is.');
  return embedded.url;
}

/** Clients that do not finish what they have begun to send are hung up on when the time is over. */
async function stopHost(host: Host, timeoutMs: number): Promise<void> {
  const hangUp = setTimeout(() => host.http.server.closeAllConnections(), timeoutMs);
  await host.stop().finally(() => clearTimeout(hangUp));
}

/** One service: some of the modules in a process of their own, with a database of their own, and the way to the others. */
import { resolve } from 'node:path';
import { startEmbedded } from '../../src/database/embedded/embedded.ts';
import { discoverModules, projectRoot } from '../../src/host/discover.ts';
import { type Host, startHost } from '../../src/host/host.ts';
import { listen } from '../../src/http/listen.ts';
import { served } from '../../src/host/served.ts';
import { type Life, openLog, say } from '../../src/life.ts';
import type { AnyModule } from '../../src/module.ts';
import { keepIn } from '../../src/keep.ts';
import { checkSettings, kernelSettings, type KernelSettings } from '../../src/settings/settings.ts';
import { startTracing } from '../../src/trace/start.ts';
import { createInternalServer } from '../../src/wire/internal-server.ts';
import { wirePeers } from '../../src/wire/peers.ts';
import { ServiceTokens } from '../../src/wire/service-tokens.ts';
import { discoveryOf } from '../discovery/discovery-of.ts';
import { register } from '../discovery/registration.ts';
import { tellParent } from '../parent.ts';
import { stubPeers } from '../stubs/stub-peers.ts';
import { preparedFor, type StubTokens } from '../stubs/stub-tokens.ts';
import { givenDatabase, ownDatabase } from './service-database.ts';
import { serviceSecret } from './service-secret.ts';
import type { Topology } from '../topology/topology.ts';
import { databaseSettings, type ServiceSettings, serviceSettings } from './service-settings.ts';

export interface ServiceOptions {
  readonly name: string;
  /** Names of the modules that run here. */
  readonly modules: readonly string[];
  /** Of its database, where none is given by the environment. */
  readonly database: string;
  /** How the other modules are found, and how others find these. */
  readonly topology: Topology;
  /** By which others reach it. */
  readonly host: string;
  /** Stand-ins take the place of the other modules. */
  readonly stubs?: StubTokens | undefined;
  /** Variables with the settings, and what stands in for those that are not set. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

const BAD_SETTINGS = 2;

export async function startService(life: Life, options: ServiceOptions): Promise<void> {
  const modules = await discoverModules();
  const hosted = modules.filter(({ contract }) => options.modules.includes(contract.name));
  const { settings, service, values } = readSettings(hosted, options);
  life.allowToDrain(settings.SHUTDOWN_TIMEOUT_MS);
  const dataDir = resolve(projectRoot, settings.DATA_DIR);
  const secret = await serviceSecret(service.SERVICE_SECRET, { production: settings.NODE_ENV === 'production', dataDir });
  const given = givenDatabase(options.modules, values['databases']!);
  if (given && options.stubs) say('Stand-ins work on the database that was given: events in it, also those that wait already, count as handled once one has taken them. Give one that is made for that.');
  const adminUrl = given ?? (await ownDatabase(settings.DATABASE_URL ?? (await startDatabase(life, dataDir)), options.database));
  if (life.isEnding) return;
  const log = openLog(settings).child({ service: options.name });
  const tracing = await startTracing(settings, log);
  if (tracing) life.onEnd(() => tracing.stop(life.leftToDrainMs));
  const tokens = new ServiceTokens(secret);
  const seeker = { caller: options.modules[0]!, tokens, log };
  const peers = options.stubs ? stubPeers({ prepared: preparedFor(options.stubs), customerId: options.stubs.users.customer }) : wirePeers({ discovery: discoveryOf(options.topology, seeker).internal, tokens, handlerTimeoutMs: settings.EVENT_HANDLER_TIMEOUT_MS });
  const keep = settings.NODE_ENV !== 'production' && { keep: keepIn(settings.DATA_DIR, adminUrl) };
  const host = await startHost({ modules, hosted: options.modules, peers, adminUrl, settings, moduleSettings: values, log, onNote: say, tracing: tracing?.tracing, ...keep });
  life.onEnd(() => host.stop());
  const internalUrl = await listenInternally(life, host, { modules, tokens, service, settings });
  if (!options.stubs) register(life, options, { ...seeker, public: host.url, internal: internalUrl });
  tellParent({ public: host.url, internal: internalUrl });
  say(`${options.name} (${options.modules.join(', ')}) is up after ${(performance.now() / 1_000).toFixed(1)} s: public ${host.url}, internal ${internalUrl}`);
}

async function listenInternally(life: Life, host: Host, { modules, tokens, service, settings }: { modules: readonly AnyModule[]; tokens: ServiceTokens; service: ServiceSettings; settings: KernelSettings }): Promise<string> {
  const internal = await createInternalServer({ modules: served(host, modules), tokens, log: host.log, drain: { noticeMs: settings.SHUTDOWN_NOTICE_MS, timeoutMs: settings.SHUTDOWN_TIMEOUT_MS } });
  life.onEnd(() => internal.close());
  return listen(internal, { host: service.INTERNAL_HOST, port: service.INTERNAL_PORT }, 'INTERNAL_PORT');
}

interface Read {
  readonly settings: KernelSettings;
  readonly service: ServiceSettings;
  readonly values: Readonly<Record<string, Record<string, unknown>>>;
}

/** Ends the process when any of all settings is bad. */
function readSettings(hosted: readonly AnyModule[], { env, modules }: ServiceOptions): Read {
  const own = { service: serviceSettings, databases: databaseSettings(modules) };
  const { values, problems, warnings } = checkSettings({ kernel: kernelSettings, ...own, ...Object.fromEntries(hosted.map((module) => [module.contract.name, module.settings])) }, env);
  for (const sentence of [...warnings, ...problems]) process.stderr.write(`${sentence}\n`);
  if (problems.length > 0) process.exit(BAD_SETTINGS);
  return { settings: values['kernel'] as KernelSettings, service: values['service'] as ServiceSettings, values };
}

async function startDatabase(life: Life, dataDir: string): Promise<string> {
  const embedded = await startEmbedded({ dataDir, log: say, keepRunning: true });
  life.onEnd(() => embedded.stop());
  return embedded.url;
}

/** A shop whose modules run as services of their own behind a gateway, all in the process of a test. */
import { cloneDatabase, discoverModules, type TestDatabase, type TestScope, TEST_ROLE_PREFIX, TestShop } from '#testing';
import { type Host, startHost } from '../../src/host/host.ts';
import type { ModuleHost } from '../../src/host/module-host.ts';
import type { Contract } from '../../src/contract/contract.ts';
import type { Client } from '../../src/contract/types.ts';
import type { Tracing } from '../../src/trace/tracing.ts';
import type { Probe } from '../../src/host/probe.ts';
import { served } from '../../src/host/served.ts';
import type { Logger } from 'pino';
import { createLog, type LogLevel } from '../../src/log/log.ts';
import { checkSettings } from '../../src/settings/check-settings.ts';
import { kernelSettings, type KernelSettings } from '../../src/settings/kernel-settings.ts';
import { testEnvironment } from '../../src/testing/environment.ts';
import type { AnyModule } from '../../src/module.ts';
import { type Discovery, type Origin, staticDiscovery } from '../../src/wire/discovery.ts';
import { createInternalServer } from '../../src/wire/internal-server.ts';
import { wirePeers } from '../../src/wire/peers.ts';
import { ServiceTokens } from '../../src/wire/service-tokens.ts';
import { type Gateway, startGateway } from './gateway.ts';
import { gatewaySettings, type GatewaySettings } from './gateway-settings.ts';

const tokens = new ServiceTokens('a secret that only services of tests know');

export interface ServicesOptions {
  /** Names of modules; each list is a service. */
  readonly services: readonly (readonly string[])[];
  /** Of each service, all of them on its database; default: 1. */
  readonly replicas?: number;
  readonly settings?: Readonly<Record<string, string>>;
  readonly probe?: Probe;
  readonly tracing?: Tracing | undefined;
  /** Hears each line of a service's log, or of the gateway's; standard output does otherwise. */
  readonly logged?: ((service: string, line: string) => void) | undefined;
}

interface Service {
  readonly host: Host;
  readonly database: TestDatabase;
  readonly origin: { readonly public: Origin; readonly internal: Origin };
  /** The process has gone; its database stays, and so does what others know of its address. */
  down(): Promise<void>;
}

type Start = (modules: readonly string[], database: TestDatabase) => Promise<Service>;

/** Where the services are; filled while they start. */
class Addresses {
  readonly publicly: Record<string, Origin[]> = {};
  readonly internally: Record<string, Origin[]> = {};

  add({ host, origin }: Service): void {
    for (const { contract: { name } } of host.hosted) {
      (this.publicly[name] ??= []).push(origin.public);
      (this.internally[name] ??= []).push(origin.internal);
    }
  }

  remove({ host, origin }: Service): void {
    for (const { contract: { name } } of host.hosted) {
      this.publicly[name] = this.publicly[name]!.filter((known) => known !== origin.public);
      this.internally[name] = this.internally[name]!.filter((known) => known !== origin.internal);
    }
  }

  get public(): Discovery {
    return { originsOf: (module) => this.publicly[module] ?? [], close: async () => undefined };
  }

  get internal(): Discovery {
    return { originsOf: (module) => this.internally[module] ?? [], close: async () => undefined };
  }
}

/** The whole, asked through its gateway as a shop in one process is. */
export class ShopOfServices extends TestShop {
  readonly gateway: Gateway;
  readonly services: Service[];
  readonly #start: Start;
  readonly addresses: Addresses;

  constructor(gateway: Gateway, services: readonly Service[], { addresses, start }: { addresses: Addresses; start: Start }) {
    super(services[0]!.host, services[0]!.database);
    this.#start = start;
    this.gateway = gateway;
    this.services = [...services];
    this.addresses = addresses;
  }

  override get url(): string {
    return this.gateway.url;
  }

  override get isOneProcess(): boolean {
    return false;
  }

  override adminUrlOf(schema: string): string {
    return (this.hosting(schema.replace(/_outbox$/, '')) ?? this.services[0]!).database.adminUrl;
  }

  override moduleUrl(module: string): string {
    return this.hosting(module).host.moduleUrl(module);
  }

  override module(name: string): ModuleHost {
    return this.hosting(name).host.module(name);
  }

  override client<C extends Contract>(contract: C): Client<C> {
    return this.hosting(contract.name).host.client(contract, 'test');
  }

  override async stop(): Promise<void> {
    await super.stop();
    await this.gateway.stop();
    await Promise.all(this.services.map(async (service) => service.down()));
  }

  /** Ends a service, the only one, that hosts a module. @returns what starts it again, on its database */
  async without(module: string): Promise<() => Promise<void>> {
    const service = this.hosting(module);
    const modules = service.host.hosted.map(({ contract }) => contract.name);
    await service.down();
    return async () => {
      this.addresses.remove(service);
      this.services.splice(this.services.indexOf(service), 1, await this.#start(modules, service.database));
    };
  }

  /** The service that hosts a module. */
  hosting(module: string): Service {
    return this.services.find(({ host }) => host.hosted.some(({ contract }) => contract.name === module))!;
  }
}

export async function servicesBehindGateway(t: TestScope, { services, replicas = 1, settings = {}, probe, tracing, logged }: ServicesOptions): Promise<ShopOfServices> {
  const addresses = new Addresses();
  const start: Start = async (modules, database) => {
    const service = await startService(modules, { addresses, database, alone: replicas === 1, settings, probe, tracing, logged });
    addresses.add(service);
    return service;
  };
  const started = (await Promise.all(services.map(async (modules) => startAll(start, modules, replicas)))).flat();
  const gateway = await testGateway(t, { publicly: addresses.public, internally: addresses.internal, settings, tracing, logged });
  const shop = new ShopOfServices(gateway, started, { addresses, start });
  t.teardown(async () => {
    await shop.stop();
    for (const database of new Set(shop.services.map((service) => service.database))) await database.drop();
  });
  return shop;
}

/** The replicas of a service, one after the other: the first one owns what is owned. */
async function startAll(start: Start, modules: readonly string[], replicas: number): Promise<Service[]> {
  const database = await cloneDatabase();
  const started: Service[] = [];
  while (started.length < replicas) started.push(await start(modules, database));
  return started;
}

export interface GatewayStart {
  readonly publicly: Discovery;
  readonly internally?: Discovery;
  readonly settings?: Readonly<Record<string, string>>;
  readonly tracing?: Tracing | undefined;
  readonly logged?: ServicesOptions['logged'];
  readonly bodyLimit?: number;
  /** Those of the project unless the test brings its own. */
  readonly modules?: readonly AnyModule[];
}

export async function testGateway(t: TestScope, { publicly, internally = staticDiscovery({}), settings = {}, tracing, logged, bodyLimit, modules }: GatewayStart): Promise<Gateway> {
  const { values, problems } = checkSettings({ kernel: kernelSettings, gateway: gatewaySettings }, { ...testEnvironment, ...settings });
  if (problems.length > 0) throw new Error(problems.join('\n'));
  const all = { ...values['kernel'], ...values['gateway'] } as KernelSettings & GatewaySettings;
  const gateway = await startGateway({ modules: modules ?? (await discoverModules()), publicly, internally, tokens, settings: all, log: logOf('gateway', all.LOG_LEVEL, logged), tracing, bodyLimit });
  t.teardown(async () => gateway.stop());
  return gateway;
}

interface ServiceStart {
  readonly addresses: Addresses;
  readonly database: TestDatabase;
  /** No other process works on the database. */
  readonly alone: boolean;
  readonly settings: Readonly<Record<string, string>>;
  readonly probe: Probe | undefined;
  readonly tracing: Tracing | undefined;
  readonly logged: ServicesOptions['logged'];
}

function logOf(service: string, level: LogLevel, logged: ServicesOptions['logged']): Logger {
  return logged ? createLog(level, { write: (line) => logged(service, line) }) : createLog(level);
}

async function startService(hosted: readonly string[], { addresses, database, alone, settings, probe, tracing, logged }: ServiceStart): Promise<Service> {
  const modules = await discoverModules();
  const env = { ...testEnvironment, TRUST_PROXY: '127.0.0.1', ...settings };
  const { values, problems } = checkSettings({ kernel: kernelSettings, ...Object.fromEntries(modules.map((module) => [module.contract.name, module.settings])) }, env);
  if (problems.length > 0) throw new Error(problems.join('\n'));
  const kernel = { ...(values['kernel'] as KernelSettings), DATABASE_ROLE_PREFIX: TEST_ROLE_PREFIX };
  const peers = wirePeers({ discovery: addresses.internal, tokens, handlerTimeoutMs: kernel.EVENT_HANDLER_TIMEOUT_MS });
  const host = await startHost({ modules, hosted, peers, adminUrl: database.adminUrl, settings: kernel, moduleSettings: values, log: logOf(hosted.join(), kernel.LOG_LEVEL, logged), alone, tracing, ...(probe && { probe }) });
  const internal = await createInternalServer({ modules: served(host, modules), tokens, log: host.log });
  const internalUrl = await internal.listen({ host: '127.0.0.1', port: 0 });
  return {
    host,
    database,
    origin: { public: host.url, internal: internalUrl },
    down: async () => {
      await internal.close();
      await host.stop();
    },
  };
}

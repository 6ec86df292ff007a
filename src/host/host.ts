/** One process: hosts a set of modules behind one HTTP server. Knows modules as a type, never by name. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { type Bus, createBus } from '../bus/bus.ts';
import { createCacheFactory } from '../cache/factory.ts';
import { Call } from '../calls/call.ts';
import { inProcessClient } from '../calls/in-process.ts';
import type { Contract } from '../contract/contract.ts';
import { CallError } from '../contract/errors.ts';
import type { Client, EventEnvelope } from '../contract/types.ts';
import { readMigrations } from '../database/migration-files.ts';
import { type Provisioned, provision } from '../database/provision.ts';
import type { DeliveryResult } from '../events/delivery.ts';
import { listen } from '../http/listen.ts';
import { createHttpServer, type HttpModule } from '../http/server.ts';
import type { Keeper } from '../keep.ts';
import { createMetrics, type Metrics } from '../metrics/metrics.ts';
import type { AnyModule } from '../module.ts';
import type { KernelSettings } from '../settings/kernel-settings.ts';
import type { Tracing } from '../trace/tracing.ts';
import { inDependencyOrder, projectRoot } from './discover.ts';
import { eventDesk } from './event-desk.ts';
import { EventOperations } from './event-operations.ts';
import { eventRoutes } from './event-routes.ts';
import { ModuleHost } from './module-host.ts';
import { alone } from './alone.ts';
import { Ownership } from './ownership.ts';
import { platform } from './platform.ts';
import type { ConnectPeers, Peers } from './peers.ts';
import type { Probe } from './probe.ts';
import { tokenIssuer } from './token-issuer.ts';

export interface HostOptions {
  readonly modules: readonly AnyModule[];
  /** Names of those of them that run here; all unless told otherwise. The rest is elsewhere. */
  readonly hosted?: readonly string[] | undefined;
  /** How the others are reached. Needed where not all are hosted here. */
  readonly peers?: ConnectPeers | undefined;
  /** Connection string of a login that may create roles and schemas. */
  readonly adminUrl: string;
  readonly settings: KernelSettings;
  /** Values of the modules' own settings, by module. */
  readonly moduleSettings: Readonly<Record<string, Record<string, unknown>>>;
  readonly log: Logger;
  /** Folder of migrations; the project's own unless a test brings modules of its own. */
  readonly migrations?: string;
  /** Sends contract calls through JSON, as a wire would. */
  readonly wire?: boolean;
  /** No other process can have used this database within the last second: the first writer need not wait for unknown ones. */
  readonly alone?: boolean;
  /** Where secrets of a development machine go; nowhere unless told. */
  readonly keep?: Keeper;
  /** Is told each line for the operator at once, so that none is lost when the start fails later. */
  readonly onNote?: (line: string) => void;
  /** For tests by force, see probe.ts. */
  readonly probe?: Probe;
  /** Whoever started it stops it, when the host has stopped. */
  readonly tracing?: Tracing | undefined;
}

const WAKE_TOPIC = 'outbox';
const BACKLOG_EVERY_MS = 5_000;
const DATABASE_CHECK_MS = 1_000;
const OWNERSHIP_RETRY_MS = 500;

export class Host {
  readonly notes: string[] = [];
  readonly metrics: Metrics = createMetrics();
  readonly #options: HostOptions;
  readonly #modules = new Map<string, ModuleHost>();
  readonly #subscriptions = new Map<string, string[]>();
  #provisioned!: Provisioned;
  #bus!: Bus;
  #ownership!: Ownership;
  #peers: Peers | undefined;
  #tokenIssuer: Client<Contract> | undefined;
  #http!: FastifyInstance;
  #url = '';
  #state: 'starting' | 'ready' | 'draining' = 'starting';
  readonly #timers: NodeJS.Timeout[] = [];
  #stopped: Promise<void> | undefined;

  constructor(options: HostOptions) {
    this.#options = options;
  }

  get url(): string {
    return this.#url;
  }

  get log(): Logger {
    return this.#options.log;
  }

  get http(): FastifyInstance {
    return this.#http;
  }

  module(name: string): ModuleHost {
    const found = this.#modules.get(name);
    if (!found) throw new CallError('UNAVAILABLE', `no module ${name} is hosted here`);
    return found;
  }

  /** Definitions of the modules that run here, each after those it calls. */
  get hosted(): readonly AnyModule[] {
    const { modules, hosted } = this.#options;
    return inDependencyOrder(modules).filter(({ contract }) => hosted?.includes(contract.name) ?? true);
  }

  /** A client of a module, wherever it runs, as the module `caller` would get it. */
  client<C extends Contract>(contract: C, caller: string): Client<C> {
    if (!this.#isHosted(contract.name)) return this.#elsewhere(contract.name).client(contract, caller);
    return inProcessClient(contract, () => this.module(contract.name).callee, {
      caller,
      wire: this.#options.wire ?? false,
      tracing: this.#options.tracing,
      recorder: (operation) => this.metrics.operation(contract.name, operation, caller),
    });
  }

  /** Connection string of a module's runtime role. */
  moduleUrl(name: string): string {
    return this.#provisioned.urls[name]!;
  }

  async start(): Promise<this> {
    const modules = this.hosted;
    const sources = await Promise.all(modules.map(async ({ contract, extensions }) => ({ name: contract.name, extensions: extensions ?? [], files: await readMigrations(this.#options.migrations ?? `${projectRoot}/migrations`, contract.name) })));
    this.#provisioned = await provision({ adminUrl: this.#options.adminUrl, prefix: this.#options.settings.DATABASE_ROLE_PREFIX, modules: sources, note: (line) => this.#note(line) });
    this.#bus = await createBus({ connectionString: this.#provisioned.kernelUrl, name: 'cleave', log: this.#options.log, alone: this.#options.alone ?? false });
    this.#peers = this.#options.peers?.({ metrics: this.metrics, log: this.#options.log, tracing: this.#options.tracing });
    for (const definition of modules) this.#modules.set(definition.contract.name, await this.#open(definition));
    this.#subscribe();
    this.#http = await this.#server();
    await this.#listen();
    await this.#begin();
    this.#state = 'ready';
    return this;
  }

  /** Refuses new work, finishes what is in hand, gives up ownership and closes everything. */
  stop(): Promise<void> {
    return (this.#stopped ??= this.#drain());
  }

  async #drain(): Promise<void> {
    this.#state = 'draining';
    for (const timer of this.#timers) clearInterval(timer);
    await this.#http?.close();
    // What waits for a subscriber elsewhere stays in the outbox; what is called is waited for.
    this.#peers?.halt();
    await this.#ownership?.stop();
    await Promise.all([...this.#modules.values()].map(async (module) => module.gate.close()));
    await this.#peers?.close();
    await Promise.all([...this.#modules.values()].map(async (module) => module.close()));
    await this.#bus?.close();
  }

  async #open(definition: AnyModule): Promise<ModuleHost> {
    const { contract, dependencies } = definition;
    const log = this.#options.log.child({ module: contract.name });
    return ModuleHost.open({
      definition,
      url: this.#provisioned.urls[contract.name]!,
      settings: this.#options.settings,
      moduleSettings: this.#options.moduleSettings[contract.name] ?? {},
      log,
      metrics: this.metrics,
      caches: createCacheFactory(this.#bus, contract.name, this.metrics.registry),
      clients: Object.fromEntries(Object.entries(dependencies).map(([key, dependency]) => [key, this.client(dependency, contract.name)])),
      subscriptions: (type) => this.#subscriptions.get(type) ?? [],
      deliver: async (subscriber, events, leaving) => this.#deliver(subscriber, events, leaving),
      wake: (module) => this.#wake(module),
      note: (line) => this.#note(line),
      keep: async (name, secret) => this.#options.keep?.keep(name, secret),
      forget: async (name, members) => this.#options.keep?.forget(name, members),
      probe: this.#options.probe,
      tracing: this.#options.tracing,
    });
  }

  /** To a subscriber, wherever it is. */
  async #deliver(subscriber: string, events: readonly EventEnvelope[], leaving: AbortSignal): Promise<DeliveryResult[]> {
    const name = subscriber.slice(0, subscriber.indexOf('.'));
    return this.#isHosted(name) ? this.handle(subscriber, events) : this.#elsewhere(name).deliver(subscriber, events, leaving);
  }

  /** Hands events to a subscriber that is hosted here. */
  async handle(subscriber: string, events: readonly EventEnvelope[]): Promise<DeliveryResult[]> {
    const intake = this.module(subscriber.slice(0, subscriber.indexOf('.'))).intakes.get(subscriber);
    // It was removed, or has another name now. That does not pass by itself: what is parked for it shall come to light as dead letters.
    if (!intake) throw new CallError('ROUTE_NOT_FOUND', `there is no subscriber ${subscriber} here`);
    return intake.handle(events);
  }

  #isHosted(name: string): boolean {
    return this.#options.hosted?.includes(name) ?? true;
  }

  #elsewhere(name: string): Peers {
    if (!this.#peers) throw new CallError('UNAVAILABLE', `${name} is not hosted here, and nobody knows where it is`);
    return this.#peers;
  }

  #subscribe(): void {
    for (const module of this.#modules.values()) requireDeclared(module);
    for (const { contract, subscribes = {} } of this.#peers ? this.#options.modules : this.hosted) {
      for (const [name, events] of Object.entries(subscribes)) {
        for (const { type } of events) this.#subscriptions.set(type, [...(this.#subscriptions.get(type) ?? []), `${contract.name}.${name}`]);
      }
    }
    this.#bus.subscribe(WAKE_TOPIC, (module) => this.#modules.get(module)?.wake());
  }

  /** In this process at once; in another by a notice that is outside any business transaction. */
  #wake(module: string): void {
    if (this.#ownership?.owns(module)) this.#modules.get(module)!.relay.wake();
    else this.#bus.publish(WAKE_TOPIC, module);
  }

  async #server(): Promise<FastifyInstance> {
    return createHttpServer({
      log: this.#options.log,
      metrics: this.metrics,
      tracing: this.#options.tracing,
      settings: this.#options.settings,
      tokenIssuer: tokenIssuer(() => this.#issuer()),
      modules: [...this.#modules.values()].map((module): HttpModule => ({
        name: module.module,
        summary: module.definition.contract.summary,
        errors: module.definition.contract.errors,
        routes: module.parts.routes,
        rootRoutes: module.parts.rootRoutes,
        paths: module.definition.paths ?? [],
        health: () => (module.reachesDatabase ? ('healthy' as const) : ('unhealthy' as const)),
      })).concat(this.#modulesElsewhere()),
      operators: { errors: platform.errors, routes: eventRoutes(new EventOperations(this.hosted, (name) => eventDesk(this.module(name)))) },
      ready: () => this.#ready(),
      enter: (name) => this.#enter(name),
      databaseDelayMs: () => Math.max(0, ...[...this.#modules.values()].map((module) => module.databaseDelayMs())),
    });
  }

  /** Those that modules here call: how they are is a part of how this process is. */
  #modulesElsewhere(): HttpModule[] {
    const called = new Map(this.hosted.flatMap(({ dependencies }) => Object.values(dependencies)).map((contract) => [contract.name, contract]));
    const elsewhere = [...called.values()].filter(({ name }) => !this.#isHosted(name));
    return elsewhere.map(({ name, summary }) => ({ name, summary, errors: {}, health: () => this.#peers?.health()[name] ?? 'unhealthy' }));
  }

  #ready(): { ready: boolean; reasons: string[] } {
    if (this.#state !== 'ready') return { ready: false, reasons: [this.#state] };
    const cutOff = [...this.#modules.values()].filter((module) => !module.reachesDatabase);
    return { ready: cutOff.length === 0, reasons: cutOff.map((module) => `${module.module} cannot reach its database`) };
  }

  #note(line: string): void {
    this.notes.push(line);
    this.#options.onNote?.(line);
  }

  #enter(name: string): () => void {
    const { gate } = this.module(name);
    gate.enter();
    return () => gate.leave();
  }

  /** By convention the module that signs tokens is the one with the operation `getTokenKeys`. */
  #issuer(): Client<Contract> {
    const known = this.#peers ? this.#options.modules : this.hosted;
    const issuer = known.find(({ contract }) => 'getTokenKeys' in contract.operations);
    if (!issuer) throw new CallError('UNAVAILABLE', 'no module here or elsewhere is known to sign tokens');
    return (this.#tokenIssuer ??= this.client(issuer.contract, KERNEL));
  }

  async #listen(): Promise<void> {
    const { HOST, PORT } = this.#options.settings;
    this.#url = await listen(this.#http, { host: HOST, port: PORT });
  }

  async #begin(): Promise<void> {
    const modules = [...this.#modules.values()];
    for (const module of modules) await module.parts.start?.(Call.root(module.module, START_TIMEOUT_MS));
    this.#ownership = new Ownership({ url: this.#provisioned.kernelUrl, ownables: modules, log: this.#options.log, retryMs: OWNERSHIP_RETRY_MS });
    await this.#ownership.start();
    await this.#seedAll(modules);
    this.#timers.push(setInterval(() => void this.#measureBacklog(), BACKLOG_EVERY_MS), setInterval(() => this.#checkDatabases(), DATABASE_CHECK_MS));
  }

  /** By one process at a time, whichever owns what: a module's demo data may build upon those of another one. */
  async #seedAll(modules: readonly ModuleHost[]): Promise<void> {
    const unseeded: ModuleHost[] = [];
    for (const module of modules) if (await module.isUnseeded()) unseeded.push(module);
    if (unseeded.length === 0) return;
    await alone(this.#provisioned.kernelUrl, 'cleave:seed', async () => {
      for (const module of unseeded) await this.#seed(module);
    });
  }

  /** A module that asks others elsewhere is filled as soon as they answer: nobody waits for that, it can be used without. */
  async #seed(module: ModuleHost): Promise<void> {
    const asksElsewhere = Object.values(module.definition.dependencies).some(({ name }) => !this.#isHosted(name));
    if (!asksElsewhere) return module.seed();
    void this.#seedAsSoonAsPossible(module);
  }

  async #seedAsSoonAsPossible(module: ModuleHost): Promise<void> {
    while (this.#state !== 'draining') {
      try {
        return await module.seed();
      } catch (error) {
        if (!(error instanceof CallError)) module.log.error({ err: error }, 'the demo data could not be made; it is tried again');
        await sleep(SEED_RETRY_MS, undefined, { ref: false });
      }
    }
  }

  #checkDatabases(): void {
    for (const module of this.#modules.values()) void module.checkDatabase();
  }

  async #measureBacklog(): Promise<void> {
    const owned = [...this.#modules.values()].filter((module) => this.#ownership.owns(module.module));
    // A look that fails is no news: the relay reports what the database does.
    await Promise.allSettled(owned.map(async (module) => module.measureBacklog()));
  }
}

const START_TIMEOUT_MS = 30_000;
const SEED_RETRY_MS = 500;

/** Calls that no module makes come from the kernel. */
export const KERNEL = 'kernel';

/** @throws TypeError where a module does not handle what it declares to subscribe to, or the other way round */
function requireDeclared({ definition, intakes }: ModuleHost): void {
  const { contract, subscribes = {} } = definition;
  const declared = Object.entries(subscribes).map(([name, events]) => `${contract.name}.${name}: ${events.map(({ type }) => type).sort().join(', ')}`);
  const handled = [...intakes].map(([subscriber, { types }]) => `${subscriber}: ${[...types].sort().join(', ')}`);
  const wrong = [...declared.filter((each) => !handled.includes(each)), ...handled.filter((each) => !declared.includes(each))];
  if (wrong.length > 0) throw new TypeError(`subscribes in modules/${contract.name}/module.ts and its subscribers differ: ${wrong.join('; ')}`);
}

/** Starts a process's worth of modules; on failure what was opened is closed again. */
export async function startHost(options: HostOptions): Promise<Host> {
  const host = new Host(options);
  try {
    return await host.start();
  } catch (error) {
    await host.stop().catch(() => undefined);
    throw error;
  }
}

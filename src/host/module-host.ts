/** One module in this process: its database, outbox, relay, sagas, tasks and gate, wired by the kernel. */
import type { Logger } from 'pino';
import type { CacheFactory } from '../cache/cache.ts';
import { Call } from '../calls/call.ts';
import { Gate } from '../calls/gate.ts';
import type { Callee } from '../calls/in-process.ts';
import { type OrmDatabase, OrmDatabase as Orm } from '../database/orm-database.ts';
import type { Deliver, Subscriptions } from '../events/delivery.ts';
import { Intake } from '../events/intake.ts';
import { Outbox } from '../events/outbox.ts';
import { Parking } from '../events/parking.ts';
import { Relay } from '../events/relay.ts';
import { replays } from '../events/replay.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { AnyModule, ModuleParts } from '../module.ts';
import type { RunnableSaga } from '../saga/create.ts';
import { SagaRunner } from '../saga/runner.ts';
import { tracedDelivery } from '../events/event-spans.ts';
import { inSpan, type Tracing } from '../trace/tracing.ts';
import type { KernelSettings } from '../settings/kernel-settings.ts';
import type { Ownable } from './ownership.ts';
import type { Probe } from './probe.ts';
import { retention } from './retention.ts';
import { TaskRunner } from './tasks.ts';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- modules of all shapes meet here
type Parts = ModuleParts<any>;

export interface ModuleHostOptions {
  readonly definition: AnyModule;
  readonly url: string;
  readonly settings: KernelSettings;
  readonly moduleSettings: Record<string, unknown>;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly caches: CacheFactory;
  readonly clients: Record<string, unknown>;
  readonly subscriptions: Subscriptions;
  readonly deliver: Deliver;
  /** Wakes the relay of this module's owner, wherever it runs. */
  wake(module: string): void;
  note(line: string): void;
  keep(name: string, secret: Readonly<Record<string, string>>): Promise<void>;
  forget(name: string, members: Readonly<Record<string, string>>): Promise<void>;
  readonly probe?: Probe | undefined;
  readonly tracing?: Tracing | undefined;
}

/** What a request begins stands in the queue for its module's connections again, in each of its first steps. */
const WAITS_WITH_SAGA = 3;

export class ModuleHost implements Ownable {
  readonly module: string;
  readonly definition: AnyModule;
  readonly gate: Gate;
  readonly log: Logger;
  readonly db: OrmDatabase;
  readonly intakes: ReadonlyMap<string, Intake>;
  readonly parts: Parts;
  readonly relay: Relay;
  readonly parking: Parking;
  readonly outbox: Outbox;
  readonly #sagas: SagaRunner;
  readonly #tasks: TaskRunner;
  readonly #seedDemo: boolean;
  #reachesDatabase = true;
  readonly #metrics: Metrics;

  private constructor(init: { options: ModuleHostOptions; gate: Gate; db: OrmDatabase; outbox: Outbox; parts: Parts }) {
    const { options, gate, db, outbox, parts } = init;
    const { settings, tracing } = options;
    this.module = options.definition.contract.name;
    this.definition = options.definition;
    this.gate = gate;
    this.log = options.log;
    this.db = db;
    this.outbox = outbox;
    this.parts = parts;
    this.#seedDemo = settings.SEED_DEMO;
    this.#metrics = options.metrics;
    this.parking = new Parking(outbox.pool, outbox.schema, { baseMs: settings.EVENT_RETRY_BASE_MS, maxMs: settings.EVENT_RETRY_MAX_MS, maxAttempts: settings.EVENT_MAX_ATTEMPTS });
    const deliver = tracing ? tracedDelivery(options.deliver, tracing) : options.deliver;
    this.relay = new Relay({ outbox, parking: this.parking, subscriptions: options.subscriptions, deliver, log: options.log, pollMs: settings.EVENT_POLL_MS });
    this.intakes = intakesOf(options, db, gate, parts);
    this.#sagas = new SagaRunner({
      sagas: (parts.sagas ?? []) as unknown as RunnableSaga[],
      gate,
      log: options.log,
      pollMs: settings.EVENT_POLL_MS,
      retryBaseMs: settings.SAGA_RETRY_BASE_MS,
      retryMaxMs: settings.SAGA_RETRY_MAX_MS,
      stepTimeoutMs: settings.SAGA_STEP_TIMEOUT_MS,
      wakeOwner: () => options.wake(this.module),
      probe: options.probe,
      tracing,
    });
    this.#tasks = new TaskRunner({ module: this.module, tasks: [...(parts.tasks ?? []), replays(db, outbox.schema, this.relay, settings.EVENT_POLL_MS), retention(db, outbox)], gate, log: options.log });
  }

  static async open(options: ModuleHostOptions): Promise<ModuleHost> {
    const { contract, entities } = options.definition;
    const module = contract.name;
    const db = await Orm.open({ module, url: options.url, poolSize: options.settings.POOL_SIZE, entities, tracing: options.tracing });
    const outbox = new Outbox({ module, url: options.url, wake: () => options.wake(module), warn: (err) => options.log.warn({ err }, 'the outbox reports trouble') });
    db.publishTo(outbox);
    options.metrics.pool(module, () => ({ total: db.pool.totalCount, idle: db.pool.idleCount, waiting: db.pool.waitingCount }));
    try {
      await outbox.start();
      return new ModuleHost({ options, gate: new Gate(module), db, outbox, parts: await partsOf(options, db) });
    } catch (error) {
      // Open connections would keep a process alive that has failed to start.
      await outbox.stop().catch(() => undefined);
      await db.close();
      throw error;
    }
  }

  get callee(): Callee {
    return { contract: this.definition.contract, operations: this.parts.operations as Callee['operations'], gate: this.gate, log: this.log };
  }

  async start(): Promise<void> {
    await this.relay.start();
    this.#sagas.start();
    this.#tasks.start();
  }

  /** Another process has left work for this one. */
  wake(): void {
    this.relay.wake();
    this.#sagas.look();
  }

  async stop(): Promise<void> {
    await Promise.all([this.#tasks.stop(), this.#sagas.stop(), this.relay.stop()]);
  }

  /** Whether it has demo data that it was not filled with yet. */
  async isUnseeded(): Promise<boolean> {
    if (!this.#seedDemo || !this.parts.seed) return false;
    return (await this.db.sql(`select 1 from ${this.module}_outbox.note where key = $1`, [SEEDED])).length === 0;
  }

  /** Fills an empty shop once; a second process, or a restart half way, does not do it again. */
  async seed(): Promise<void> {
    if (!(await this.isUnseeded())) return;
    await this.parts.seed!(Call.root(this.module, SEED_TIMEOUT_MS));
    await this.db.sql(`insert into ${this.module}_outbox.note (key, value) values ($1, 'true') on conflict do nothing`, [SEEDED]);
  }

  /** Whether the module could reach its database when it was last looked at. */
  get reachesDatabase(): boolean {
    return this.#reachesDatabase;
  }

  /** The shortest wait for connections since this was last asked, in ms, of a request and of what it sets off. */
  databaseDelayMs(): number {
    const hasSagas = (this.parts.sagas ?? []).length > 0;
    return this.db.poolWait.take() * (hasSagas ? WAITS_WITH_SAGA : 1);
  }

  async checkDatabase(): Promise<void> {
    this.#reachesDatabase = await this.db.sql('select 1').then(
      () => true,
      () => false,
    );
  }

  /** Shows in the metrics how much waits in the outbox. */
  async measureBacklog(): Promise<void> {
    this.#metrics.outbox(this.module, await this.outbox.backlog());
  }

  async close(): Promise<void> {
    await this.parts.stop?.();
    await this.outbox.stop();
    await this.db.close();
  }
}

const SEEDED = 'seeded';
const SEED_TIMEOUT_MS = 60_000;

async function partsOf(options: ModuleHostOptions, db: OrmDatabase): Promise<Parts> {
  return (await options.definition.setup({
    contract: options.definition.contract,
    db,
    clients: options.clients,
    settings: options.moduleSettings,
    log: options.log,
    metrics: options.metrics.registry,
    inSpan: inSpan(options.tracing),
    caches: options.caches,
    note: (line: string) => options.note(line),
    keep: async (name: string, secret: Readonly<Record<string, string>>) => options.keep(name, secret),
    forget: async (name: string, members: Readonly<Record<string, string>>) => options.forget(name, members),
  })) as Parts;
}

function intakesOf(options: ModuleHostOptions, db: OrmDatabase, gate: Gate, parts: Parts): Map<string, Intake> {
  const module = options.definition.contract.name;
  return new Map(
    (parts.subscribers ?? []).map(({ name, handlers }) => {
      const subscriber = `${module}.${name}`;
      const recorder = (type: string) => options.metrics.handler(subscriber, type);
      return [subscriber, new Intake({ subscriber, handlers, db, gate, log: options.log, timeoutMs: options.settings.EVENT_HANDLER_TIMEOUT_MS, recorder, probe: options.probe, tracing: options.tracing })];
    }),
  );
}

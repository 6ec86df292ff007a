/**
 * What a module is, as far as the kernel knows. The kernel knows modules as this type, never by name.
 *
 * Glossary
 * - module: a folder under `modules/` with a contract; the unit that can leave for a service of its own
 * - contract: its public door: operations, events, error codes
 * - operation: a query (reads) or a command (changes state) that other modules may call
 * - event: a fact that a module publishes; it commits with the state change that it reports (outbox)
 * - outbox: where a module's events wait, in its own database, until every subscriber has handled them
 * - inbox: the subscriber's record of what it has handled; makes at-least-once delivery exactly once in effect
 * - subscriber: a named group of handlers of a module that receives events in order per aggregate
 * - dead letter: an event that a subscriber could not handle after the last try; kept with its error
 * - aggregate: the thing that an event is about, e.g. one order; the unit of ordering
 * - saga: a persisted state machine that drives a process across modules, with compensations
 * - task: work that a module does again and again, in one process of the deployment at a time
 * - owner: the one process that runs a module's relay, sagas and tasks at a given time
 * - call: deadline, cancellation, trace and actor of one piece of work
 */
import type { Static, TObject } from '@sinclair/typebox';
import type { EntitySchema } from '@mikro-orm/core';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { Call } from './calls/call.ts';
import type { Contract, EventDefinition } from './contract/contract.ts';
import type { Clients, EventOf, Operations } from './contract/types.ts';
import type { Database, Transaction } from './database/database.ts';
import type { CacheFactory } from './cache/cache.ts';
import type { RoutesPlugin } from './http/route.ts';
import type { Saga } from './saga/saga.ts';
import type { InSpan } from './trace/tracing.ts';

/** One handler of a subscriber. */
export interface Handler {
  readonly event: EventDefinition;
  /** Gathers what the effect needs, outside any transaction; the place for calls to other modules. */
  readonly load?: (event: never, call: Call) => Promise<unknown>;
  /** The effect, in the transaction that also records the event in the inbox. Calls no other module. */
  readonly apply: (event: never, tx: Transaction, loaded: never) => Promise<void>;
}

/** Declares a handler; `load` runs before the transaction and its result is handed to `apply`. */
export function on<E extends EventDefinition, Loaded = undefined>(
  event: E,
  handler: {
    load?: (event: EventOf<E>, call: Call) => Promise<Loaded>;
    apply: (event: EventOf<E>, tx: Transaction, loaded: Loaded) => Promise<void>;
  },
): Handler {
  return { event, ...handler } as Handler;
}

export interface Subscriber {
  /** Unique within the module; the inbox and the dead letters know it as `<module>.<name>`. Never rename it. */
  readonly name: string;
  readonly handlers: readonly Handler[];
}

/** Work that comes again; runs in the module's owner, one run at a time. */
export interface Task {
  readonly name: string;
  readonly everyMs: number;
  /** When it runs for the first time, from the start on; at once unless told. For upkeep that a start need not wait for. */
  readonly firstAfterMs?: number;
  run(call: Call): Promise<void>;
}

export interface ModuleContext<C extends Contract, D extends Record<string, Contract>, S extends TObject> {
  readonly contract: C;
  readonly db: Database;
  /** Clients of the modules named in `dependencies`. */
  readonly clients: Clients<D>;
  readonly settings: Static<S>;
  readonly log: Logger;
  /** The process's registry; name metrics `<module>_…`. */
  readonly metrics: Registry;
  /** Runs work as a span of its own in the trace of the call, e.g. what is asked of somebody outside the shop. */
  readonly inSpan: InSpan;
  /** Caches of this module that agree across all processes of the deployment. */
  readonly caches: CacheFactory;
  /** Prints a line of start-up to the operator's terminal; never logged, so it may hold a first password. */
  note(line: string): void;
  /**
   * Keeps a secret of this development machine in `<DATA_DIR>/<name>.json` (`<name>-<hash>.json` for a database of the
   * operator's own), readable by its owner alone, for the operator's own tools. In production nothing is kept.
   */
  keep(name: string, secret: Readonly<Record<string, string>>): Promise<void>;
  /** Takes back what was kept under the name, if it holds these members: it is not good any more. */
  forget(name: string, members: Readonly<Record<string, string>>): Promise<void>;
}

export interface ModuleParts<C extends Contract> {
  readonly operations: Operations<C>;
  readonly routes?: RoutesPlugin;
  /** Routes that stand outside the base path, e.g. `/.well-known/…`. */
  readonly rootRoutes?: RoutesPlugin;
  readonly subscribers?: readonly Subscriber[];
  readonly sagas?: readonly Saga[];
  readonly tasks?: readonly Task[];
  /** Fills an empty schema with demo data; runs once per database, in dependency order, in one process at a time. */
  seed?(call: Call): Promise<void>;
  /** Runs before the process becomes ready, in every process, in dependency order. */
  start?(call: Call): Promise<void>;
  /** Runs after the last work has been drained. */
  stop?(): Promise<void>;
}

export interface ModuleDefinition<
  C extends Contract = Contract,
  D extends Record<string, Contract> = Record<string, Contract>,
  S extends TObject = TObject,
> {
  readonly contract: C;
  /** Contracts whose operations this module calls. Whose events it handles follows from its subscribers. */
  readonly dependencies: D;
  /** Contracts of others whose events this module handles; its own it may handle without saying so here. */
  readonly consumes: Record<string, Contract>;
  /**
   * Which events each subscriber handles, by the subscriber's name. Publishers elsewhere know it from here, while this module may be
   * down; checked against `subscribers` at start.
   */
  readonly subscribes?: Readonly<Record<string, readonly EventDefinition[]>>;
  /** What the module's routes begin with, under the base path or, for `rootRoutes`, without it; a gateway sends them here. */
  readonly paths?: readonly string[];
  /** Environment variables that the module reads, with defaults; checked at start. */
  readonly settings: S;
  readonly entities: readonly EntitySchema[];
  /** Trusted PostgreSQL extensions that the module's migrations use; they stand in `public`. */
  readonly extensions?: readonly string[];
  setup(context: ModuleContext<C, D, S>): Promise<ModuleParts<C>> | ModuleParts<C>;
}

/** A module definition of any shape, as the kernel handles it. */
export type AnyModule = Omit<ModuleDefinition, 'setup'> & {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the one place where the shapes meet
  setup(context: any): Promise<ModuleParts<any>> | ModuleParts<any>;
};

/** Declares a module; `modules/<name>/module.ts` exports it as default. */
export function defineModule<C extends Contract, D extends Record<string, Contract>, S extends TObject>(
  definition: ModuleDefinition<C, D, S>,
): ModuleDefinition<C, D, S> {
  return definition;
}

/**
 * A contract is the one public door of a module (invariant I1): its operations, its events and its
 * error codes, each with a version, all of them JSON. Nothing else of a module may be imported.
 */
import type { Static, TObject, TSchema } from '@sinclair/typebox';

/** One entry of a module's error catalogue. The code is the key it stands under and never changes. */
export interface ErrorSpec {
  /** HTTP status that the public API answers with when this error reaches a route of the module. */
  readonly status: number;
  /** Short, constant summary; the `title` of the problem document. */
  readonly title: string;
  /** What the reader can do about it; printed in `docs/errors.md`. */
  readonly remedy: string;
}

interface OperationBase<In extends TObject, Out extends TSchema> {
  readonly version: number;
  readonly summary: string;
  readonly input: In;
  readonly output: Out;
  /** Codes of this contract's catalogue that the operation may answer with. */
  readonly errors: readonly string[];
  /** Milliseconds after which the caller gets DEADLINE_EXCEEDED, unless its own deadline is nearer. */
  readonly deadlineMs: number;
}

/** Reads and changes nothing: safe to retry and to answer from a cache. */
export interface Query<In extends TObject = TObject, Out extends TSchema = TSchema> extends OperationBase<In, Out> {
  readonly kind: 'query';
}

/** Changes state. `idempotent` says that repeating it with the same input has no further effect. */
export interface Command<In extends TObject = TObject, Out extends TSchema = TSchema> extends OperationBase<In, Out> {
  readonly kind: 'command';
  readonly idempotent: boolean;
}

export type Operation = Query | Command;

/** An event as the author of a contract writes it. */
export interface EventSpec<Data extends TObject = TObject> {
  readonly version: number;
  readonly summary: string;
  readonly data: Data;
  /** Property of `data` that names the aggregate; events of one aggregate are delivered in order. */
  readonly aggregate: string;
}

/** An event of a contract, with the logical name that it is stored and routed under. */
export interface EventDefinition<Data extends TObject = TObject> extends EventSpec<Data> {
  readonly module: string;
  /** Logical name with the version, e.g. `orders.order-placed.v1`; survives renames in the code. */
  readonly type: string;
}

export interface Contract<
  Name extends string = string,
  Errors extends Record<string, ErrorSpec> = Record<string, ErrorSpec>,
  Operations extends Record<string, Operation> = Record<string, Operation>,
  Events extends Record<string, EventDefinition> = Record<string, EventDefinition>,
> {
  readonly name: Name;
  readonly version: number;
  readonly summary: string;
  readonly errors: Errors;
  readonly operations: Operations;
  readonly events: Events;
}

type Defined<Events extends Record<string, EventSpec>> = {
  readonly [K in keyof Events]: EventDefinition<Events[K]['data']>;
};

const DEFAULT_DEADLINE_MS = 2_000;

type Draft<T> = Omit<T, 'kind' | 'errors' | 'deadlineMs'> & { errors?: readonly string[]; deadlineMs?: number };

/** Declares an operation that reads. Default deadline: 2 s. */
export function query<In extends TObject, Out extends TSchema>(draft: Draft<Query<In, Out>>): Query<In, Out> {
  return { kind: 'query', errors: [], deadlineMs: DEFAULT_DEADLINE_MS, ...draft };
}

/** Declares an operation that changes state. Default deadline: 2 s. */
export function command<In extends TObject, Out extends TSchema>(draft: Draft<Command<In, Out>>): Command<In, Out> {
  return { kind: 'command', errors: [], deadlineMs: DEFAULT_DEADLINE_MS, ...draft };
}

/** Declares an event; `aggregate` must be a string property of its data. */
export function event<Data extends TObject>(spec: EventSpec<Data> & { aggregate: keyof Static<Data> & string }): EventSpec<Data> {
  return spec;
}

export interface ContractDraft<
  Name extends string,
  Errors extends Record<string, ErrorSpec>,
  Operations extends Record<string, Operation>,
  Events extends Record<string, EventSpec>,
> {
  readonly name: Name;
  readonly version: number;
  readonly summary: string;
  readonly errors: Errors;
  readonly operations: Operations;
  readonly events: Events;
}

/**
 * Declares a module's contract.
 * @throws TypeError when an operation names an error code that the catalogue lacks
 */
export function defineContract<
  const Name extends string,
  const Errors extends Record<string, ErrorSpec>,
  Operations extends Record<string, Operation>,
  Events extends Record<string, EventSpec>,
>(draft: ContractDraft<Name, Errors, Operations, Events>): Contract<Name, Errors, Operations, Defined<Events>> {
  for (const [name, operation] of Object.entries(draft.operations)) {
    const unknown = operation.errors.find((code) => !(code in draft.errors));
    if (unknown) throw new TypeError(`${draft.name}.${name} names the error ${unknown}, which its catalogue lacks: add it to errors`);
  }
  const events = Object.fromEntries(
    Object.entries(draft.events).map(([key, spec]) => [
      key,
      { ...spec, module: draft.name, type: `${draft.name}.${kebab(key)}.v${spec.version}` },
    ]),
  );
  return Object.freeze({ ...draft, events: events as unknown as Defined<Events> });
}

function kebab(camel: string): string {
  return camel.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

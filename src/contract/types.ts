/** The types that a contract gives to those who call it and to the one who implements it. */
import type { Static } from '@sinclair/typebox';
import type { Call } from '../calls/call.ts';
import type { Contract, EventDefinition, Operation } from './contract.ts';

export type DeepReadonly<T> = T extends (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T;

export type Input<O extends Operation> = Static<O['input']>;
export type Output<O extends Operation> = Static<O['output']>;

/** What a module must provide: one function per operation. Inputs are already validated copies. */
export type Operations<C extends Contract> = {
  readonly [K in keyof C['operations']]: (
    input: DeepReadonly<Input<C['operations'][K]>>,
    call: Call,
  ) => Promise<DeepReadonly<Output<C['operations'][K]>>>;
};

/**
 * What a caller gets. It cannot tell where the callee runs (invariant I2).
 * @throws ContractError with a code of the callee's catalogue
 * @throws CallError when the call itself failed: deadline, cancellation, unavailability, invalid values
 */
export type Client<C extends Contract> = {
  readonly [K in keyof C['operations']]: (
    input: DeepReadonly<Input<C['operations'][K]>>,
    call: Call,
  ) => Promise<DeepReadonly<Output<C['operations'][K]>>>;
};

export type Clients<D extends Record<string, Contract>> = { readonly [K in keyof D]: Client<D[K]> };

export type EventData<E extends EventDefinition> = Static<E['data']>;

/** An event as it is stored and delivered. JSON all the way down. */
export interface EventEnvelope<Data = unknown> {
  /** UUIDv7; the order of an aggregate's events is the order of their ids. */
  readonly id: string;
  /** Logical name, e.g. `orders.order-placed.v1`. */
  readonly type: string;
  readonly aggregateId: string;
  /** RFC 3339, UTC. */
  readonly occurredAt: string;
  readonly data: DeepReadonly<Data>;
  /** W3C traceparent of the work that published it. */
  readonly traceparent: string;
  /** W3C tracestate that came with it, if one did. */
  readonly tracestate?: string;
  readonly requestId: string;
}

export type EventOf<E extends EventDefinition> = EventEnvelope<EventData<E>>;

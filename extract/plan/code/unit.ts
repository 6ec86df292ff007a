/**
 * A module's code as the plan looks at it: units (functions, and what a route or a handler of events runs) and what they refer to.
 * Names alone are compared, no types: where two functions of a module share a name, both are taken to be meant. So a plan may
 * name a call too many, and says "may call"; it leaves out none that is written as `client.operation({ … }, call)`.
 */

/** How a place is reached within its unit. */
export interface Reach {
  /** What fails there is caught, and not thrown on: the module goes on without it. */
  readonly caught: boolean;
  /** Only under a condition. */
  readonly sometimes: boolean;
}

export const STRAIGHT: Reach = { caught: false, sometimes: false };

/** One way after another: caught where either is, and certain only where both are. */
export function along(first: Reach, then: Reach): Reach {
  return { caught: first.caught || then.caught, sometimes: first.sometimes || then.sometimes };
}

/** Of two ways to the same place the worse one: what fails there fails the whole unless both ways catch it. */
export function worse(one: Reach, other: Reach): Reach {
  return { caught: one.caught && other.caught, sometimes: one.sometimes && other.sometimes };
}

/** A task is what the module does by itself: its recurring work, its start, its demo data. */
export type UnitKind = 'function' | 'member' | 'operation' | 'route' | 'handler' | 'task';

/** Nobody calls these by a name: they do not run where they are written. */
export const RUN_APART: ReadonlySet<UnitKind> = new Set(['route', 'handler', 'task']);

export interface NameUse extends Reach {
  readonly name: string;
  /** `x.name` or `this.#name`, rather than `name` alone. */
  readonly isMember: boolean;
}

/** `receiver.name({ … }, call)`: a contract call, where the module depends on a contract with such an operation. */
export interface PossibleCall extends Reach {
  readonly receiver: string;
  readonly name: string;
  readonly line: number;
}

export interface Unit {
  readonly kind: UnitKind;
  /** Of a function; `POST /orders` of a route; `orders.events.orderPlaced` of a handler. */
  readonly name: string;
  readonly file: string;
  readonly line: number;
  readonly uses: NameUse[];
  readonly calls: PossibleCall[];
  /** Functions that are written within this one, and run where it does. */
  readonly inner: (Reach & { readonly unit: Unit })[];
  /** Events that it publishes, as `orders.orderPlaced`. */
  readonly publishes: string[];
  /** It hands something to a saga, in its transaction: `saga.begin(tx, …)`. */
  setsSagaGoing: boolean;
  /** It makes a saga of steps. */
  makesSaga: boolean;
}

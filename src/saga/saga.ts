/**
 * A saga drives a process across modules (invariant I6). It is a persisted state machine:
 *
 *   running(step) --effect ok--> settle: next(step) | wait(step) | finish | compensate
 *   running(step) --effect failed--> running(step), later (backoff); after `giveUpAfterMs`: compensating
 *   waiting(step) --signal or time-out--> as `settle` says
 *   running | waiting --abort--> compensating
 *   compensating --undo of each started step, last first; repeated until it succeeds--> compensated
 *
 * An effect may run more than once and may still be under way elsewhere when its compensation runs, so:
 * effects are idempotent under the saga's id, and undoing what never happened must prevent that it happens
 * later (a tombstone at the callee).
 */
import type { Call } from '../calls/call.ts';
import type { Transaction } from '../database/database.ts';

/** What follows a step. */
export type Next<Step extends string = string> =
  | { readonly do: 'step'; readonly step: Step }
  | { readonly do: 'wait'; readonly step: Step; readonly timeoutMs: number }
  | { readonly do: 'finish' }
  | { readonly do: 'compensate'; readonly reason: string };

export interface SagaStep<Data, Step extends string = string, Result = unknown> {
  /** Calls other modules; outside any transaction; idempotent. A step without one only waits. */
  effect?(data: Data, call: Call): Promise<Result>;
  /** Records the result and says what is next, in the transaction that moves the saga. May change `data`. */
  settle(data: Data, result: Result, tx: Transaction): Promise<Next<Step>>;
  /** After this many ms of failing the saga compensates with reason `giveUpReason`; default: never. */
  giveUpAfterMs?: number;
  giveUpReason?: string;
  /** Takes the effect back; must also succeed when the effect never ran. Repeated until it succeeds. */
  undo?(data: Data, call: Call): Promise<void>;
  /** In a waiting step: what a time-out leads to. */
  timedOut?(data: Data, tx: Transaction): Promise<Next<Step>>;
}

export interface SagaDefinition<Data, Step extends string = string> {
  /** Never rename it: rows in the database carry it. */
  readonly name: string;
  readonly first: Step;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- each step has a result type of its own
  readonly steps: { readonly [K in Step]: SagaStep<Data, Step, any> };
  /** Runs in the transaction that starts the compensation, e.g. to show the cancellation at once. */
  compensating?(data: Data, reason: string, tx: Transaction): Promise<void>;
  /** Runs in the transaction that ends the compensation. */
  compensated?(data: Data, reason: string, tx: Transaction): Promise<void>;
}

/** A saga that is wired to its module's database. */
export interface Saga<Data = never, Step extends string = string> {
  readonly definition: SagaDefinition<Data, Step>;
  /** Starts an instance in the caller's transaction; it runs once that has committed. */
  begin(tx: Transaction, id: string, data: Data): Promise<void>;
  /**
   * Hands a waiting instance what it waits for; `false` when it does not wait at that step (any more).
   * Runs the step's `settle` with `result` in the caller's transaction. It locks the instance, which the runner does after the rows that
   * `settle` changes: a caller that another one may cross locks those rows before.
   */
  signal(tx: Transaction, id: string, step: Step, result: unknown): Promise<boolean>;
  /** Turns to compensation in the caller's transaction, with locks as `signal`; `false` when the instance has ended or is at it already. */
  abort(tx: Transaction, id: string, reason: string): Promise<boolean>;
}

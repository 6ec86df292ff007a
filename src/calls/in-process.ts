/** Contract calls within the process: typed, validated, copied, bounded in time (invariant I2). */
import type { ValidateFunction } from 'ajv';
import type { Logger } from 'pino';
import type { Contract, Operation } from '../contract/contract.ts';
import { type Copier, compileCopier } from '../contract/copy.ts';
import { CallError, ContractError } from '../contract/errors.ts';
import type { Client } from '../contract/types.ts';
import { validatorOf, violationOf } from '../contract/validate.ts';
import type { TraceContext } from '../trace/trace-context.ts';
import type { Span, SpanInit, Tracing } from '../trace/tracing.ts';
import { Call } from './call.ts';
import { watch, Watched } from './deadlines.ts';
import type { Gate } from './gate.ts';

type Implementation = (input: never, call: Call) => Promise<unknown>;

/** Where a call ends up: the callee's operations behind its gate. */
export interface Callee {
  readonly contract: Contract;
  readonly operations: Readonly<Record<string, Implementation>>;
  readonly gate: Gate;
  readonly log: Logger;
}

/** Receives how long a call took and how it ended: `ok` or the error's code. */
export interface CallRecorder {
  observe(seconds: number, outcome: string): void;
}

export interface CallerOptions {
  readonly caller: string;
  recorder(operation: string): CallRecorder;
  /** Sends inputs and outputs through JSON, as a wire would; a switch for tests. */
  readonly wire: boolean;
  readonly tracing?: Tracing | undefined;
}

/** Makes the client of a callee in this process. `find` is asked at each call: modules are wired in any order. */
export function inProcessClient<C extends Contract>(contract: C, find: () => Callee, options: CallerOptions): Client<C> {
  const names = Object.keys(contract.operations);
  return Object.fromEntries(names.map((name) => [name, operationCaller(contract, name, find, options)])) as Client<C>;
}

function operationCaller(contract: Contract, name: string, find: () => Callee, { caller, wire, recorder, tracing }: CallerOptions): Implementation {
  const label = `${contract.name}.${name}`;
  const route = { name, label, operation: contract.operations[name]!, recorder: recorder(name), tracing, span: spanOf(contract.name, label, caller) };
  // Compiled on first use: doing it for every operation would add 150 ms to each start.
  let compiled: Route | undefined;

  return (input: unknown, call: Call): Promise<unknown> =>
    new Promise((resolve, reject) => {
      compiled ??= { ...route, ...compile(route.operation, wire) };
      new Flight(compiled, find(), call, resolve, reject).start(input);
    });
}

/** What is known of an operation before it is called. */
interface Route extends Compiled {
  readonly name: string;
  readonly label: string;
  readonly operation: Operation;
  readonly recorder: CallRecorder;
  readonly tracing: Tracing | undefined;
  readonly span: SpanInit;
}

/** Caller and callee share one span while they share a process; nothing is sent anywhere, so it is neither client nor server. */
function spanOf(module: string, label: string, caller: string): SpanInit {
  return { name: label, kind: 'internal', attributes: { 'rpc.system.name': 'cleave', 'rpc.method': label, 'cleave.module': module, 'cleave.caller': caller } };
}

function endSpan(span: Span, outcome: string, error?: Error): void {
  span.set('rpc.status_code', outcome);
  span.end(error);
}

interface Compiled {
  readonly validInput: ValidateFunction;
  readonly validOutput: ValidateFunction;
  readonly copyInput: Copier;
  readonly copyOutput: Copier;
}

function compile({ input, output }: Operation, wire: boolean): Compiled {
  return { validInput: validatorOf(input), validOutput: validatorOf(output), copyInput: copierOf(input, wire), copyOutput: copierOf(output, wire) };
}

function copierOf(schema: Operation['input'] | Operation['output'], wire: boolean): Copier {
  return wire ? (value) => JSON.parse(JSON.stringify(value)) as unknown : compileCopier(schema);
}

/**
 * One call, until the nearer of the caller's deadline and the operation's own. A late result is dropped; the callee
 * sees its signal. One object and one promise: with a closure for each way in which a call may end, and an async
 * function around them, all of this took half a microsecond longer.
 *
 *   started --the callee answers--> landed
 *   started --refused at the door, the callee fails, too late, not wanted any more--> failed
 */
class Flight extends Watched {
  readonly #route: Route;
  readonly #callee: Callee;
  readonly #call: Call;
  readonly #resolve: (value: unknown) => void;
  readonly #reject: (error: Error) => void;
  readonly #startedAt = performance.now();
  #span: Span | undefined;
  /** What the callee sees. */
  #inner: Call | undefined;
  /** By the clock of `startedAt`. */
  #endsAt = 0;
  #isSettled = false;

  constructor(route: Route, callee: Callee, call: Call, resolve: (value: unknown) => void, reject: (error: Error) => void) {
    super();
    this.#route = route;
    this.#callee = callee;
    this.#call = call;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(input: unknown): void {
    const { operation, label, name, validInput, copyInput, tracing, span } = this.#route;
    if (tracing) this.#span = tracing.begin(this.#call, span);
    try {
      this.#call.throwIfOver();
      if (!validInput(input)) throw invalid('VALIDATION_FAILED', `input of ${label}`, operation.input, input);
      const inner = this.#within(operation.deadlineMs);
      this.#inner = inner;
      const copy = copyInput(input);
      this.#callee.gate.enter();
      watch(this, inner.deadline);
      this.#fly(this.#callee.operations[name]!, copy, inner);
    } catch (error) {
      this.#fail(error);
    }
  }

  get isCancelled(): boolean {
    return this.#call.cancellation?.aborted ?? false;
  }

  cancel(): void {
    this.#fail(new CallError('CANCELLED', 'the caller gave up'));
  }

  late(): void {
    this.#fail(new CallError('DEADLINE_EXCEEDED', `${this.#route.label} did not answer in time; it may still do its work`));
  }

  #within(operationMs: number): Call {
    const { deadline, caller, requestId, actor, cancellation } = this.#call;
    const { traceparent, tracestate, beginsTrace }: TraceContext = this.#span ?? this.#call;
    const now = Date.now();
    const nearer = Math.min(deadline, now + operationMs);
    this.#endsAt = this.#startedAt + nearer - now;
    return new Call({ deadline: nearer, caller, requestId, traceparent, tracestate, beginsTrace, actor, signal: cancellation });
  }

  #fly(operation: Implementation, input: unknown, call: Call): void {
    try {
      operation(input as never, call).then(
        (value) => this.#land(value),
        (error: unknown) => this.#crash(error),
      );
    } catch (error) {
      this.#crash(error);
    }
  }

  #land(value: unknown): void {
    const { operation, label, recorder, validOutput, copyOutput } = this.#route;
    const now = performance.now();
    this.#leave();
    if (this.#isSettled) return;
    // The watch is coarse: an answer between the deadline, or the cancellation, and the next look is too late all the same.
    if (now >= this.#endsAt || this.#isStopped) return this.#stop();
    try {
      if (!validOutput(value)) throw invalid('INTERNAL', `output of ${label}`, operation.output, value);
      this.#resolve(copyOutput(value));
      this.#isSettled = true;
      recorder.observe((now - this.#startedAt) / 1_000, 'ok');
      if (this.#span) endSpan(this.#span, 'ok');
    } catch (error) {
      this.#fail(error);
    }
  }

  #crash(error: unknown): void {
    this.#leave();
    // Whatever a callee throws because it was told to stop, the caller learns why.
    if (this.#isStopped && !(error instanceof ContractError)) return this.#stop();
    this.#fail(error);
  }

  get #isStopped(): boolean {
    return this.isCancelled || (this.#inner?.isStopped ?? false);
  }

  #stop(): void {
    if (this.isCancelled) this.cancel();
    else this.late();
  }

  #leave(): void {
    this.#callee.gate.leave();
    this.end();
  }

  #fail(error: unknown): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    const crossing = toCaller(error, this.#callee, this.#route.operation, this.#route.label);
    this.#route.recorder.observe((performance.now() - this.#startedAt) / 1_000, crossing.code);
    if (this.#span) endSpan(this.#span, crossing.code, crossing);
    this.#reject(crossing);
  }
}

function invalid(code: 'VALIDATION_FAILED' | 'INTERNAL', what: string, schema: Operation['input'] | Operation['output'], value: unknown): CallError {
  const violation = violationOf(schema, value) ?? { path: '', message: 'does not fit' };
  return new CallError(code, `the ${what} does not fit its schema at "${violation.path}": ${violation.message}`, { errors: [violation] });
}

/** What the caller may see: declared refusals and call errors; anything else stays here, in the log. */
function toCaller(error: unknown, callee: Callee, operation: Operation, label: string): CallError | ContractError {
  if (error instanceof CallError) return error;
  if (error instanceof ContractError && error.module === callee.contract.name && operation.errors.includes(error.code)) return error;
  callee.log.error({ err: error, operation: label }, 'an operation failed unexpectedly');
  return new CallError('INTERNAL', `${label} failed`, { cause: error });
}

/**
 * Contract calls to a module in another process (invariant I2). Nothing is written by hand for a module: paths, validation,
 * deadlines and what may be repeated follow from its contract. The callee's side is `internal-server.ts`, which calls the operation
 * as a caller in its process would.
 */
import type { Logger } from 'pino';
import type { Call } from '../calls/call.ts';
import type { CallRecorder } from '../calls/in-process.ts';
import type { Contract, Operation } from '../contract/contract.ts';
import { CallError, ContractError, type KernelCode } from '../contract/errors.ts';
import type { Client } from '../contract/types.ts';
import { violationOf } from '../contract/validate.ts';
import type { Span, SpanInit, Tracing } from '../trace/tracing.ts';
import type { CalleeGuard } from './callee-guard.ts';
import { post, type WireAnswer, WireError } from './exchange.ts';
import { fromWire } from './failure.ts';
import { callHeaders, callPath } from './protocol.ts';
import type { Replica, Replicas } from './replicas.ts';
import type { ServiceTokens } from './service-tokens.ts';

export interface RemoteOptions {
  readonly caller: string;
  readonly replicas: Replicas;
  readonly guard: CalleeGuard;
  readonly tokens: ServiceTokens;
  readonly log: Logger;
  readonly tracing: Tracing | undefined;
  recorder(operation: string): CallRecorder;
}

/** What the callee's listener says by itself, of the process that calls: no operation does. */
const OF_THE_DOOR: ReadonlySet<KernelCode> = new Set(['UNAUTHENTICATED', 'FORBIDDEN', 'ROUTE_NOT_FOUND', 'MALFORMED_BODY']);

export function remoteClient<C extends Contract>(contract: C, options: RemoteOptions): Client<C> {
  const names = Object.keys(contract.operations);
  return Object.fromEntries(names.map((name) => [name, remoteOperation(new RemoteOperation(contract, name, options))])) as Client<C>;
}

function remoteOperation(remote: RemoteOperation): (input: unknown, call: Call) => Promise<unknown> {
  return async (input, call) => remote.call(input, call);
}

class RemoteOperation {
  readonly #contract: Contract;
  readonly #operation: Operation;
  readonly #label: string;
  readonly #path: string;
  readonly #options: RemoteOptions;
  readonly #recorder: CallRecorder;
  readonly #span: SpanInit;

  constructor(contract: Contract, name: string, options: RemoteOptions) {
    this.#contract = contract;
    this.#operation = contract.operations[name]!;
    this.#label = `${contract.name}.${name}`;
    this.#path = callPath(contract.name, name);
    this.#options = options;
    this.#recorder = options.recorder(name);
    this.#span = { name: this.#label, kind: 'client', attributes: { 'rpc.system.name': 'cleave', 'rpc.method': this.#label, 'cleave.module': contract.name, 'cleave.caller': options.caller } };
  }

  async call(input: unknown, call: Call): Promise<unknown> {
    const started = performance.now();
    const span = this.#options.tracing?.begin(call, this.#span);
    try {
      const output = await this.#guarded(input, call, span);
      this.#recorder.observe((performance.now() - started) / 1_000, 'ok');
      end(span, 'ok');
      return output;
    } catch (error) {
      const crossing = this.#toCaller(error);
      this.#recorder.observe((performance.now() - started) / 1_000, crossing.code);
      end(span, crossing.code, crossing);
      throw crossing;
    }
  }

  async #guarded(input: unknown, call: Call, span: Span | undefined): Promise<unknown> {
    call.throwIfOver();
    const violation = violationOf(this.#operation.input, input);
    if (violation) throw new CallError('VALIDATION_FAILED', `the input of ${this.#label} does not fit its schema at "${violation.path}": ${violation.message}`, { errors: [violation] });
    const deadline = Math.min(call.deadline, Date.now() + this.#operation.deadlineMs);
    const traced = span ? call.with({ trace: span }) : call;
    const body = JSON.stringify(input);
    let replica: Replica | undefined;
    return this.#options.guard.run({
      deadline,
      attempt: async () => {
        replica = this.#options.replicas.choose(this.#contract.name, replica);
        if (!replica) throw new WireError('unreached', `no replica of ${this.#contract.name} is known`);
        return this.#attempt(replica, body, deadline, traced);
      },
      mayRepeat: (error) => this.#mayRepeat(error),
    });
  }

  async #attempt(replica: Replica, body: string, deadline: number, call: Call): Promise<unknown> {
    const { tokens, caller } = this.#options;
    const headers = callHeaders(this.#contract, call, deadline - Date.now());
    headers['authorization'] = tokens.bearer({ caller, callee: this.#contract.name });
    return this.#outputOf(await post(replica, { path: this.#path, headers, body, deadline, cancellation: call.cancellation }));
  }

  #outputOf({ status, text }: WireAnswer): unknown {
    const answer = parsed(text);
    const failure = status === 200 ? undefined : fromWire(this.#contract, answer);
    if (failure instanceof CallError && OF_THE_DOOR.has(failure.code)) throw this.#turnedAway(failure);
    if (status !== 200) throw failure ?? new WireError('garbled', `${this.#label} answered ${status}, which says nothing: ${text.slice(0, 100)}`);
    const violation = violationOf(this.#operation.output, answer);
    if (violation) throw new WireError('garbled', `the output of ${this.#label} does not fit its schema at "${violation.path}": ${violation.message}`);
    return answer;
  }

  /** What has not been reached may be sent again; what may have been done only where doing it twice is doing it once. */
  #mayRepeat(error: unknown): boolean {
    const harmless = this.#operation.kind === 'query' || this.#operation.idempotent;
    return error instanceof WireError && (error.kind === 'unreached' || (error.kind === 'lost' && harmless));
  }

  #toCaller(error: unknown): CallError | ContractError {
    if (error instanceof CallError || error instanceof ContractError) return error;
    if (!(error instanceof WireError) || error.kind === 'garbled') return this.#internal(error);
    if (error.kind === 'unreached' || this.#operation.kind === 'query') return new CallError('UNAVAILABLE', `${this.#contract.name} cannot be reached`, { cause: error, underWay: error.kind === 'lost' });
    return new CallError('OUTCOME_UNKNOWN', `the connection broke while ${this.#label} was under way; it may have been carried out`, { cause: error });
  }

  /** That this process is not let in is nobody's fault who asks it for something: they are to ask again, and somebody has to look. */
  #turnedAway(failure: CallError): CallError {
    this.#options.log.error({ err: failure, operation: this.#label }, 'a module elsewhere does not let this process in: SERVICE_SECRET, clocks and addresses of both have to fit');
    return new CallError('UNAVAILABLE', `${this.#contract.name} cannot be asked at the moment`, { cause: failure });
  }

  #internal(error: unknown): CallError {
    this.#options.log.error({ err: error, operation: this.#label }, 'a module elsewhere answered what its contract does not allow');
    return new CallError('INTERNAL', `${this.#label} failed`, { cause: error });
  }
}

function end(span: Span | undefined, outcome: string, error?: Error): void {
  span?.set('rpc.status_code', outcome);
  span?.end(error);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

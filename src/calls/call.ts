/**
 * The context of one piece of work: how long it may take, whether it is still wanted, on whose behalf it
 * runs and which trace it belongs to. It is handed from function to function explicitly; nothing in
 * Cleave reads it from ambient state.
 */
import { randomBytes } from 'node:crypto';
import { CallError } from '../contract/errors.ts';
import type { TraceContext } from '../trace/trace-context.ts';

export type Role = 'customer' | 'support' | 'admin';

/** Who asks, as the token says. */
export interface Actor {
  readonly id: string;
  readonly role: Role;
}

export interface CallInit {
  /** Epoch milliseconds after which the answer is not wanted any more. */
  readonly deadline: number;
  /** Module (or `gateway`, `timer`, `test`) that calls. */
  readonly caller: string;
  readonly requestId: string;
  /** W3C traceparent of the current span. */
  readonly traceparent: string;
  /** W3C tracestate that came with it, if one did. */
  readonly tracestate?: string | undefined;
  /** No span of the trace has been made yet: the first one will have no parent. */
  readonly beginsTrace?: boolean | undefined;
  readonly actor?: Actor | undefined;
  /** Cancels the work before its deadline, e.g. when the client has gone. */
  readonly signal?: AbortSignal | undefined;
}

export class Call implements TraceContext {
  readonly deadline: number;
  readonly caller: string;
  readonly requestId: string;
  readonly traceparent: string;
  readonly tracestate: string | undefined;
  readonly beginsTrace: boolean;
  readonly actor: Actor | undefined;
  readonly #parent: AbortSignal | undefined;
  #signal: AbortSignal | undefined;

  constructor(init: CallInit) {
    this.deadline = init.deadline;
    this.caller = init.caller;
    this.requestId = init.requestId;
    this.traceparent = init.traceparent;
    this.tracestate = init.tracestate;
    this.beginsTrace = init.beginsTrace ?? false;
    this.actor = init.actor;
    this.#parent = init.signal;
  }

  /** Starts work that no request caused: a timer, a saga step, a start-up task. */
  static root(caller: string, timeoutMs: number, init: Partial<CallInit> = {}): Call {
    const { requestId = newRequestId(), traceparent = newTraceparent() } = init;
    return new Call({ deadline: Date.now() + timeoutMs, caller, beginsTrace: init.traceparent === undefined, ...init, requestId, traceparent });
  }

  get traceId(): string {
    return this.traceparent.slice(3, 35);
  }

  get remainingMs(): number {
    return this.deadline - Date.now();
  }

  /** Aborts at the deadline or when the caller gives up. Made on first use: most in-process calls never look. */
  get signal(): AbortSignal {
    if (!this.#signal) {
      const timeout = AbortSignal.timeout(Math.max(0, Math.ceil(this.remainingMs)));
      this.#signal = this.#parent ? AbortSignal.any([this.#parent, timeout]) : timeout;
    }
    return this.#signal;
  }

  /** Whether whoever does the work has been told to stop. Node's timers may fire some milliseconds before the deadline. */
  get isStopped(): boolean {
    return this.#signal?.aborted ?? false;
  }

  /** The caller's own signal, without the deadline; undefined when nobody can cancel. */
  get cancellation(): AbortSignal | undefined {
    return this.#parent;
  }

  /** The same work with a nearer deadline, on behalf of another module, or in a span of its own. */
  with(change: { timeoutMs?: number; caller?: string; signal?: AbortSignal; trace?: TraceContext | undefined }): Call {
    const { traceparent, tracestate, beginsTrace = false } = change.trace ?? this;
    const deadline = change.timeoutMs === undefined ? this.deadline : Math.min(this.deadline, Date.now() + change.timeoutMs);
    const signal = change.signal && this.#parent ? AbortSignal.any([change.signal, this.#parent]) : (change.signal ?? this.#parent);
    return new Call({ deadline, caller: change.caller ?? this.caller, requestId: this.requestId, traceparent, tracestate, beginsTrace, actor: this.actor, signal });
  }

  /** @throws CallError CANCELLED or DEADLINE_EXCEEDED when the answer is not wanted any more */
  throwIfOver(): void {
    if (this.#parent?.aborted) throw new CallError('CANCELLED', 'the caller gave up');
    if (this.remainingMs <= 0) throw new CallError('DEADLINE_EXCEEDED', 'no time is left for this call');
  }
}

/** A new W3C traceparent (https://www.w3.org/TR/trace-context/), sampled. */
export function newTraceparent(): string {
  const hex = randomBytes(24).toString('hex');
  return `00-${hex.slice(0, 32)}-${hex.slice(32)}-01`;
}

export function newRequestId(): string {
  return randomBytes(12).toString('base64url');
}

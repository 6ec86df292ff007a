/**
 * The receiving end of events in a module: runs handlers so that each event has its effect exactly once
 * (invariant I5). The inbox row commits with the effect.
 *
 *   batch --all handlers succeed--> one transaction, all handled
 *   batch --one fails--> rolled back; then one transaction per event, in order;
 *                        after a failure the later events of its aggregate are held,
 *                        and when the time of one handler is over, all that are left;
 *                        so is one whose handler needs somebody who is away
 */
import type { Logger } from 'pino';
import { Call } from '../calls/call.ts';
import type { Gate } from '../calls/gate.ts';
import type { Probe } from '../host/probe.ts';
import type { EventEnvelope } from '../contract/types.ts';
import { violationOf } from '../contract/validate.ts';
import type { Database, Transaction } from '../database/database.ts';
import type { Handler } from '../module.ts';
import type { TraceContext } from '../trace/trace-context.ts';
import type { Span, Tracing } from '../trace/tracing.ts';
import { type DeliveryResult, notHandled } from './delivery.ts';
import { handlingSpans } from './event-spans.ts';
import type { CallRecorder } from '../calls/in-process.ts';

export interface IntakeOptions {
  /** `<module>.<name>` of the subscriber. */
  readonly subscriber: string;
  readonly handlers: readonly Handler[];
  readonly db: Database;
  readonly gate: Gate;
  readonly log: Logger;
  readonly timeoutMs: number;
  recorder(type: string): CallRecorder;
  readonly probe?: Probe | undefined;
  readonly tracing?: Tracing | undefined;
}

/** An event in hand, with the work that handling it is. */
interface Handling {
  readonly event: EventEnvelope;
  readonly call: Call;
  readonly span: Span | undefined;
}

interface Prepared extends Handling {
  readonly handler: Handler;
  readonly loaded: unknown;
}

type AnyHandler = {
  load?: (event: EventEnvelope, call: Call) => Promise<unknown>;
  apply: (event: EventEnvelope, tx: Transaction, loaded: unknown) => Promise<void>;
};

const HANDLED: DeliveryResult = { outcome: 'handled' };
const HELD: DeliveryResult = { outcome: 'held' };
/** Of a batch at a time: all batches that a module may be given together stay below what a callee takes of it (callee-guard.ts). */
const LOADS = 16;

export class Intake {
  readonly #options: IntakeOptions;
  readonly #handlers: ReadonlyMap<string, Handler>;
  readonly #recorders = new Map<string, CallRecorder>();
  readonly #insert: string;
  /** Something that a handler needs is away, and was told of: of an outage the log tells once. */
  #isWaiting = false;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#insert = `insert into ${options.db.schema}_outbox.inbox (subscriber, event_id) select $1, unnest($2::uuid[]) on conflict do nothing returning event_id`;
    this.#handlers = new Map(options.handlers.map((handler) => [handler.event.type, handler]));
    for (const type of this.#handlers.keys()) this.#recorders.set(type, options.recorder(type));
  }

  /** Types that this subscriber handles. */
  get types(): readonly string[] {
    return [...this.#handlers.keys()];
  }

  async handle(events: readonly EventEnvelope[]): Promise<DeliveryResult[]> {
    this.#options.gate.enter();
    try {
      if (events.length > 1) {
        const together = await this.#together(events).catch(() => undefined);
        if (together) return together;
      }
      return await this.#oneByOne(events);
    } finally {
      this.#options.gate.leave();
    }
  }

  async #together(events: readonly EventEnvelope[]): Promise<DeliveryResult[]> {
    await this.#run(events);
    return events.map(() => HANDLED);
  }

  async #oneByOne(events: readonly EventEnvelope[]): Promise<DeliveryResult[]> {
    const failed = new Set<string>();
    const results: DeliveryResult[] = [];
    const started = performance.now();
    for (const event of events) {
      // Where one hangs, others may: 50 time-outs in a row would keep the other aggregates waiting for minutes.
      const isHeld = failed.has(event.aggregateId) || performance.now() - started >= this.#options.timeoutMs;
      const result = isHeld ? HELD : await this.#one(event);
      if (result.outcome !== 'handled') failed.add(event.aggregateId);
      results.push(result);
    }
    return results;
  }

  async #one(event: EventEnvelope): Promise<DeliveryResult> {
    try {
      await this.#run([event]);
      return HANDLED;
    } catch (error) {
      const result = notHandled(error);
      const isNews = result.outcome === 'failed' || !this.#isWaiting;
      this.#isWaiting ||= result.outcome === 'held';
      this.#options.log[isNews ? 'warn' : 'debug']({ err: error, subscriber: this.#options.subscriber, eventId: event.id, eventType: event.type, traceId: event.traceparent.slice(3, 35) }, result.outcome === 'held' ? 'an event waits for what its handler needs' : 'an event handler failed');
      return result;
    }
  }

  /** Loads what the handlers need, then applies all effects in one transaction. */
  async #run(events: readonly EventEnvelope[]): Promise<void> {
    const started = performance.now();
    const handlings = this.#handlings(events);
    let failure: unknown;
    try {
      await expiring(this.#work(handlings), handlings[0]!.call);
      this.#isWaiting = false;
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      const seconds = (performance.now() - started) / 1000 / events.length;
      for (const { event, span } of handlings) {
        span?.end(failure);
        this.#recorders.get(event.type)?.observe(seconds, failure === undefined ? 'ok' : 'failed');
      }
    }
  }

  /** Each event is handled for whoever caused it, though all of them together. */
  #handlings(events: readonly EventEnvelope[]): Handling[] {
    const { tracing, subscriber, db, timeoutMs } = this.#options;
    const spans = tracing && handlingSpans(tracing, subscriber, events);
    return events.map((event, place) => {
      const span = spans?.[place];
      const { traceparent, tracestate }: TraceContext = span ?? event;
      return { event, span, call: Call.root(db.schema, timeoutMs, { traceparent, tracestate, requestId: event.requestId }) };
    });
  }

  async #work(handlings: readonly Handling[]): Promise<void> {
    const events = handlings.map(({ event }) => event);
    const { call } = handlings[0]!;
    await this.#at(events, 'before');
    const prepared: Prepared[] = [];
    for (let n = 0; n < handlings.length; n += LOADS) prepared.push(...(await Promise.all(handlings.slice(n, n + LOADS).map(async (handling) => this.#prepare(handling)))));
    await this.#at(events, 'loaded');
    await this.#options.db.transaction({ call }, async (tx) => {
      const fresh = await this.#record(tx, events);
      for (const { event, handler, loaded, call: own } of prepared) {
        // Taken out, because one that is twice in a batch is new but once.
        if (!fresh.delete(event.id)) continue;
        call.throwIfOver();
        await (handler as unknown as AnyHandler).apply(event, own === call ? tx : tx.for(own), loaded);
      }
      await this.#at(events, 'applied');
      // A handler that overran must not commit: its caller has been told that it failed.
      call.throwIfOver();
    });
    await this.#at(events, 'committed');
  }

  async #at(events: readonly EventEnvelope[], at: string): Promise<void> {
    if (!this.#options.probe) return;
    for (const { type } of events) await this.#options.probe(`event:${this.#options.subscriber}:${type}:${at}`);
  }

  async #prepare(handling: Handling): Promise<Prepared> {
    const { event, call } = handling;
    const handler = this.#handlers.get(event.type);
    if (!handler) throw new TypeError(`${this.#options.subscriber} does not handle ${event.type}`);
    const violation = violationOf(handler.event.data, event.data);
    if (violation) throw new TypeError(`${event.type} does not fit its schema at "${violation.path}": ${violation.message}`);
    return { ...handling, handler, loaded: await (handler as unknown as AnyHandler).load?.(event, call) };
  }

  async #record(tx: Transaction, events: readonly EventEnvelope[]): Promise<Set<string>> {
    const rows = await tx.sql<{ event_id: string }>(this.#insert, [this.#options.subscriber, events.map((event) => event.id)]);
    return new Set(rows.map((row) => row.event_id));
  }
}

/** Rejects at the call's deadline even when the work hangs; the work itself refuses to commit after it. */
async function expiring(work: Promise<void>, call: Call): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const expiry = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('the handler took too long')), call.remainingMs);
  });
  try {
    await Promise.race([work, expiry]);
  } finally {
    clearTimeout(timer);
    work.catch(() => undefined);
  }
}

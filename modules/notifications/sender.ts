/**
 * Hands queued messages to their carriers once the transaction that queued them has committed.
 *
 *   queued, due --take: `due_at` moves LEASE_MS ahead, tries + 1--> queued, in hand
 *   in hand --carrier takes it--> sent
 *   in hand --carrier fails, tries left--> queued, due after a pause that doubles
 *   in hand --carrier refuses for good, or no tries left--> failed
 *   in hand --the process dies--> queued, due when the lease has run out
 *
 * What ends a message also ends the wait of its order's report (order-report.ts).
 *
 * A message is handed over at least once. It is repeated only when the process dies, or the reply is lost,
 * between the carrier's acceptance and the row's `sent`: SMTP has no transaction that spans both. The row is
 * written as the very next thing, and each repetition carries the same Message-ID, by which mail servers and
 * readers recognise it.
 */
import type { Logger } from 'pino';
import { Counter, type Registry } from 'prom-client';
import { Call, type Database, type InSpan, type Task } from '#kernel';
import { type Carriers, type Message, MessageRefused } from './carrier.ts';
import { channels, isGivenUp, pauseBeforeNextTry } from './notification.ts';

/** Messages in hand at a time, and so connections to a carrier. */
export const IN_HAND = 4;
/** Milliseconds that a hand-over may last; a lease outlives it, so nobody takes a message that is under way. */
export const HAND_OVER_MS = 10_000;
const LEASE_MS = 3 * HAND_OVER_MS;
const POLL_MS = 1_000;
/** Milliseconds after which a run stops taking messages; the next look goes on. Keeps shutdown short of a long queue. */
const RUN_MS = 2_000;
const LONGEST_ERROR = 500;

export interface SenderInit {
  readonly db: Database;
  readonly carriers: Carriers;
  readonly log: Logger;
  readonly metrics: Registry;
  readonly inSpan: InSpan;
  readonly maxTries: number;
  /** Milliseconds before the second try; doubles with each further one. */
  readonly firstPauseMs: number;
}

interface Taken extends Message {
  readonly channel: 'email' | 'sms';
  readonly tries: number;
  readonly traceparent: string | null;
  readonly tracestate: string | null;
}

export class Sender {
  readonly #init: SenderInit;
  readonly #carried: readonly string[];
  readonly #outcomes: Counter<'channel' | 'outcome'>;
  #run: Promise<void> | undefined;
  #again = false;
  #closed = false;

  constructor(init: SenderInit) {
    this.#init = init;
    this.#carried = channels.filter((channel) => init.carriers[channel] !== 'kept');
    this.#outcomes = new Counter({
      name: 'notifications_hand_overs_total',
      help: 'Tries to hand a message to its carrier, by how they ended',
      labelNames: ['channel', 'outcome'],
      registers: [init.metrics],
    });
  }

  /** The floor below `wake`: finds what became due again and what another process left behind. */
  get tasks(): readonly Task[] {
    return this.#carried.length === 0 ? [] : [{ name: 'send-messages', everyMs: POLL_MS, run: (call) => this.#sendDue(call.with({ timeoutMs: RUN_MS })) }];
  }

  /** Starts sending at once; for the moment after a commit. Never throws. */
  readonly wake = (): void => {
    this.#sendDue(Call.root('notifications', RUN_MS)).catch((error: unknown) => {
      this.#init.log.warn({ err: error }, 'sending was interrupted; the next look at the queue goes on with it');
    });
  };

  /** Takes no further message, waits for those in hand, lets go of the carriers. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#run?.catch(() => undefined);
    for (const carrier of Object.values(this.#init.carriers)) if (carrier !== 'kept') carrier.close();
  }

  /** Sends until nothing is due or time is up; joins a run that is under way, which then looks once more. */
  #sendDue(call: Call): Promise<void> {
    this.#again = true;
    this.#run ??= this.#drain(call).finally(() => {
      this.#run = undefined;
    });
    return this.#run;
  }

  async #drain(call: Call): Promise<void> {
    while (this.#again && !this.#closed) {
      this.#again = false;
      while (!this.#closed && call.remainingMs > 0 && !call.cancellation?.aborted) {
        const taken = await this.#take();
        if (taken.length === 0) break;
        await Promise.all(taken.map((message) => this.#handOver(message).catch((error: unknown) => this.#lost(message, error))));
      }
    }
  }

  #take(): Promise<Taken[]> {
    return this.#init.db.sql<Taken>(
      `with due as (
         select id from notification
         where status = 'queued' and due_at <= now() and channel = any($1)
         order by due_at limit $2 for update skip locked)
       update notification n set tries = n.tries + 1, due_at = now() + $3 * interval '1 millisecond'
       from due where n.id = due.id
       returning n.id, n.channel, n.recipient, n.subject, n.body, n.tries, n.created_at as "createdAt", n.traceparent, n.tracestate`,
      [this.#carried, IN_HAND, LEASE_MS],
    );
  }

  async #handOver(message: Taken): Promise<void> {
    const carrier = this.#init.carriers[message.channel];
    if (carrier === 'kept') return;
    try {
      await this.#init.inSpan(callOf(message), spanOf(message), () => carrier.send(message));
    } catch (error) {
      return this.#failed(message, error as Error);
    }
    await this.#end(message, 'sent', 'sent_at = now(), last_error = null');
    this.#outcomes.inc({ channel: message.channel, outcome: 'sent' });
  }

  async #failed(message: Taken, error: Error): Promise<void> {
    const { maxTries, firstPauseMs, log } = this.#init;
    const givenUp = isGivenUp(message.tries, maxTries, error instanceof MessageRefused);
    const pauseMs = pauseBeforeNextTry(message.tries, firstPauseMs, Math.random());
    const reason = error.message.slice(0, LONGEST_ERROR);
    if (givenUp) await this.#end(message, 'failed', 'last_error = $3', reason);
    else await this.#settle(message, update(`due_at = now() + $4 * interval '1 millisecond', last_error = $3`), reason, pauseMs);
    this.#outcomes.inc({ channel: message.channel, outcome: givenUp ? 'failed' : 'postponed' });
    // The reason stays in the row: servers like to quote the address, which has no place in a log.
    const facts = { notificationId: message.id, channel: message.channel, tries: message.tries, code: (error as NodeJS.ErrnoException).code };
    if (givenUp) log.error(facts, 'a message could not be handed over and was given up; last_error of its row says why');
    else log.warn({ ...facts, pauseMs }, 'a message could not be handed over; it will be tried again');
  }

  /** The outcome is not on record: the lease brings the message back. */
  #lost(message: Taken, error: unknown): void {
    const fact = 'how a hand-over ended could not be recorded; it will be repeated under the same Message-ID';
    this.#init.log.error({ err: error, notificationId: message.id }, fact);
  }

  async #end(message: Taken, outcome: 'sent' | 'failed', change: string, ...params: readonly unknown[]): Promise<void> {
    const ended = `with ended as (${update(`status = '${outcome}', ${change}`)} returning id)
      update order_report r set outcome = '${outcome}', ended_at = now() from ended where r.id = ended.id`;
    await this.#settle(message, ended, ...params);
  }

  async #settle(message: Taken, statement: string, ...params: readonly unknown[]): Promise<void> {
    await this.#init.db.for(callOf(message)).sql(statement, [message.id, message.tries, ...params]);
  }
}

/** `tries` is the fence: whoever's lease ran out finds it changed and leaves the row to its new holder. */
function update(change: string): string {
  return `update notification set ${change} where id = $1 and tries = $2 and status = 'queued'`;
}

/** In the trace of whatever the message tells of. */
function callOf({ traceparent, tracestate }: Taken): Call {
  return Call.root('notifications', HAND_OVER_MS, traceparent === null ? {} : { traceparent, tracestate: tracestate ?? undefined });
}

/** The recipient is nobody's business here. */
function spanOf({ id, channel, tries }: Taken) {
  return { name: `send ${channel}`, kind: 'client', attributes: { 'cleave.module': 'notifications', 'cleave.notification.id': id, 'cleave.notification.try': tries } } as const;
}

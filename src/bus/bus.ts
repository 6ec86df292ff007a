/**
 * The processes of a deployment talk to each other over LISTEN/NOTIFY of the database that they share, each
 * over one connection of its own. Hints (`publish`) may get lost; confirmations (`confirm`) are exact:
 *
 *   When `confirm` has resolved, every process either has run its handlers or is not `live`, and one that is
 *   not live runs them, or forgets everything in `onLive`, before it becomes live again.
 *
 *   starting --joined--> live <--beat late | beat answered--> doubtful
 *   live | doubtful --session lost--> reconnecting (backoff) --onLive handlers, then joined--> live
 *   any --close--> closed
 *
 * Why that holds. PostgreSQL delivers the notifications of a database to all sessions in one order, the
 * order of commits. Each session beats on the common channel every BEAT_MS and is live until TRUST_MS after
 * it *sent* the last beat that it has heard itself. Let M be what a writer W says.
 *
 * 1. A session P whose beat stands after M in the order has heard M before that beat. So a P that has not heard M
 *    is live only by a beat that stands before M, hence no longer than TRUST_MS after that was sent.
 * 2. When W hears its own M, it has heard all beats that stand before M and were said since it listens. From
 *    the time at which W heard P's last one, TRUST_MS (and a margin for the clocks) later P is not live by it.
 * 3. What was said before W listened W cannot know; TRUST_MS after it began to listen nobody is live by it.
 *    W counts this as one more session that never answers (`unheard` in `trust.ts`), unless it knows to be alone.
 * 4. So W waits for every session that it heard within the last TRUST_MS, until it answers, says good-bye or
 *    that time is over, whether it crashed, hangs, or lost its connection and does not know it yet.
 * 5. A P that joins later begins with `onLive` after its LISTEN. What it loads thereafter is newer than all that
 *    it has not heard, as W speaks after its commit.
 *
 * Rejected: presence by advisory locks in pg_locks. A lock vanishes when the server drops the connection,
 * which is before the process knows, and until then it would serve what it should have forgotten. Rejected:
 * `select 1` as heartbeat: its place among the notifications is not certain. A notification costs no more,
 * and as its transaction writes nothing, its commit waits for no disk.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { CallError } from '../contract/errors.ts';
import { Confirmation } from './confirmation.ts';
import type { Message } from './message.ts';
import { Session } from './session.ts';
import { Peers } from './trust.ts';

export interface Bus {
  /**
   * Runs the topic's handlers in every process that can be reached, this one included, within some
   * milliseconds. Fire and forget: a hint, not a promise. Equal ones that come close together become one.
   */
  publish(topic: string, payload: string): void;
  /**
   * Resolves once every live process of the deployment has run its handlers, in this one before it returns. Call it
   * after the commit of what it is about.
   * @throws CallError DEADLINE_EXCEEDED when the database cannot be reached for 5 s; the others are still
   *   told as soon as it can. UNAVAILABLE when the bus is closed meanwhile.
   */
  confirm(topic: string, payload: string): Promise<void>;
  /** Handlers must be quick, synchronous and repeatable. @returns a function that ends the subscription */
  subscribe(topic: string, handler: (payload: string) => void): () => void;
  /** Whether all that has been confirmed is known here. What rests on confirmations must not be used otherwise. */
  readonly live: boolean;
  /** Runs before the bus becomes live over a new connection: anything may have been missed. @returns a function that ends it */
  onLive(handler: () => void): () => void;
  close(): Promise<void>;
}

export interface BusOptions {
  /** A login that may connect to the deployment's database; nothing more is needed. No pooler in between. */
  readonly connectionString: string;
  /** Names this process in the log. */
  readonly name: string;
  /**
   * No other process can have used this database within the last second, e.g. because it has just been made. Saves the
   * first confirmations the wait for processes that may have been there before; a wrong `true` makes them inexact.
   */
  readonly alone?: boolean;
  readonly log?: { warn(facts: object, message: string): void; info(facts: object, message: string): void };
}

type Handler = (payload: string) => void;

/** Equal hints within this time are said once. */
const HINT_WINDOW_MS = 2;
const MAX_BACKOFF_MS = 1_000;

/** @throws Error when the first connection fails or does not pass notifications */
export async function createBus(options: BusOptions): Promise<Bus> {
  const bus = new NotifyBus(options);
  await bus.open(options.alone ?? false);
  return bus;
}

class NotifyBus implements Bus {
  readonly #options: BusOptions;
  readonly #handlers = new Map<string, Set<Handler>>();
  readonly #whenLive = new Set<() => void>();
  readonly #peers = new Peers();
  readonly #confirmations = new Map<number, Confirmation>();
  readonly #hints = new Map<string, { topic: string; payload: string }>();
  readonly #closing = new AbortController();
  #hintTimer: NodeJS.Timeout | undefined;
  #session: Session | undefined;
  #reconnecting: Promise<void> | undefined;
  #confirmed = 0;

  constructor(options: BusOptions) {
    this.#options = options;
  }

  get live(): boolean {
    return this.#session !== undefined && this.#session.trusted;
  }

  async open(alone: boolean): Promise<void> {
    const session = await Session.open({
      connectionString: this.#options.connectionString,
      listening: () => alone || this.#peers.restart(performance.now()),
      joined: (joined) => this.#join(joined),
      receive: (message, from) => this.#receive(message, from),
      ended: (ended, error) => this.#lost(ended, error),
    });
    if (this.#closing.signal.aborted) await session.close();
  }

  publish(topic: string, payload: string): void {
    this.#hints.set(`${topic}\n${payload}`, { topic, payload });
    this.#hintTimer ??= setTimeout(() => this.#sayHints(), HINT_WINDOW_MS);
  }

  async confirm(topic: string, payload: string): Promise<void> {
    this.#deliver(topic, payload);
    if (this.#closing.signal.aborted) throw closed();
    this.#confirmed += 1;
    const confirmation = new Confirmation({ number: this.#confirmed, topic, payload, confirmed: ({ number }) => this.#confirmations.delete(number) });
    this.#confirmations.set(confirmation.number, confirmation);
    this.#say(confirmation);
    await confirmation.promise;
  }

  subscribe(topic: string, handler: Handler): () => void {
    const handlers = this.#handlers.get(topic) ?? new Set();
    this.#handlers.set(topic, handlers.add(handler));
    return () => void handlers.delete(handler);
  }

  onLive(handler: () => void): () => void {
    this.#whenLive.add(handler);
    return () => void this.#whenLive.delete(handler);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    clearTimeout(this.#hintTimer);
    for (const confirmation of this.#confirmations.values()) {
      confirmation.stop();
      confirmation.fail('UNAVAILABLE', closed().message);
    }
    const session = this.#session;
    this.#session = undefined;
    await session?.close();
    await this.#reconnecting;
  }

  #join(session: Session): void {
    if (this.#closing.signal.aborted) return;
    for (const handler of this.#whenLive) this.#run(handler);
    this.#session = session;
    for (const confirmation of this.#confirmations.values()) this.#say(confirmation);
  }

  #lost(session: Session, error: Error | undefined): void {
    if (this.#session !== session) return;
    this.#session = undefined;
    for (const confirmation of this.#confirmations.values()) confirmation.unsay();
    this.#options.log?.warn({ bus: this.#options.name, err: error }, 'the bus lost its connection; caches are not used until it is back');
    this.#reconnecting ??= this.#reconnect();
  }

  async #reconnect(): Promise<void> {
    for (let attempt = 0; !this.#session && !this.#closing.signal.aborted; attempt += 1) {
      try {
        await sleep(backoff(attempt), undefined, { signal: this.#closing.signal });
        await this.open(false);
      } catch (error) {
        if (!this.#closing.signal.aborted) this.#options.log?.warn({ bus: this.#options.name, err: error }, 'the bus cannot connect');
      }
    }
    this.#reconnecting = undefined;
  }

  #receive(message: Message, session: Session): void {
    if (message.kind === 'beat') this.#peers.heard(message.from, performance.now());
    else if (message.kind === 'said') this.#heard(message, session);
    else if (message.kind === 'done') this.#confirmations.get(message.confirm)?.done(message.from);
    else if (message.kind === 'bye') this.#gone(message.from);
  }

  #heard(message: Message & { kind: 'said' }, session: Session): void {
    const { from, topic, payload, confirm } = message;
    if (from === session.id) {
      if (confirm !== undefined) this.#confirmations.get(confirm)?.heardBack(this.#peers.trusting(performance.now()));
      return;
    }
    this.#deliver(topic, payload);
    if (confirm !== undefined) session.send({ kind: 'done', from: session.id, confirm }, from);
  }

  #gone(session: string): void {
    this.#peers.gone(session);
    for (const confirmation of this.#confirmations.values()) confirmation.done(session);
  }

  #say({ number, topic, payload }: Confirmation): void {
    const session = this.#session;
    session?.send({ kind: 'said', from: session.id, topic, payload, confirm: number });
  }

  /** Nothing goes to the database while nobody else is there: a lone process pays nothing for its hints. */
  #sayHints(): void {
    this.#hintTimer = undefined;
    const hints = [...this.#hints.values()];
    this.#hints.clear();
    const session = this.#peers.trusting(performance.now()).size > 0 ? this.#session : undefined;
    for (const { topic, payload } of hints) {
      this.#deliver(topic, payload);
      session?.send({ kind: 'said', from: session.id, topic, payload });
    }
  }

  #deliver(topic: string, payload: string): void {
    for (const handler of this.#handlers.get(topic) ?? []) this.#run(() => handler(payload), topic);
  }

  #run(handler: () => void, topic?: string): void {
    try {
      handler();
    } catch (error) {
      this.#options.log?.warn({ bus: this.#options.name, topic, err: error }, 'a handler of the bus failed');
    }
  }
}

/** At once, then doubling from 50 ms, with jitter so that a restarted server is not stormed. */
function backoff(attempt: number): number {
  return attempt === 0 ? 0 : Math.min(MAX_BACKOFF_MS, 25 * 2 ** attempt) * (0.5 + Math.random() / 2);
}

function closed(): CallError {
  return new CallError('UNAVAILABLE', 'the process is shutting down');
}

/**
 * One process of a deployment owns each module: it runs the module's relay, sagas and tasks. Ownership is a
 * session lock of PostgreSQL, so it ends in the moment in which the owner's process or connection dies.
 *
 *   watching --lock taken--> owner: start() --released | connection lost--> stop() --> watching
 *
 * An owner that lost its connection without its process dying may overlap with the next one for as long as it
 * takes to notice. That is harmless: effects are recorded in inboxes, sagas move by version, and a relay that was
 * replaced can neither read nor park events any more (`parking.ts`).
 */
import pg from 'pg';
import type { Logger } from 'pino';

export interface Ownable {
  readonly module: string;
  /** Begins the owner's work. */
  start(): Promise<void>;
  /** Ends it; resolves when work in hand is recorded. */
  stop(): Promise<void>;
}

export interface OwnershipOptions {
  /** Connection string of the kernel's role. */
  readonly url: string;
  readonly ownables: readonly Ownable[];
  readonly log: Logger;
  readonly retryMs: number;
  /** How long the server may be silent before its locks count as lost; default: 5 s. */
  readonly answerMs?: number;
}

/** A server that is silent for so long has most likely given the locks to somebody else. */
const ANSWER_MS = 5_000;

export class Ownership {
  readonly #options: OwnershipOptions;
  readonly #owned = new Map<string, Ownable>();
  #client: pg.Client | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #isLooking = false;
  #turn: Promise<void> = Promise.resolve();

  constructor(options: OwnershipOptions) {
    this.#options = options;
  }

  /** Takes what is free now and keeps trying for the rest. */
  async start(): Promise<void> {
    await this.#next(async () => this.#watch());
    this.#timer = setInterval(() => this.#look(), this.#options.retryMs);
  }

  owns(module: string): boolean {
    return this.#owned.has(module);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    await this.#turn;
    await this.#stopAll();
    await this.#client?.end().catch(() => undefined);
  }

  /** Taking and losing happen one after the other: work that is being begun cannot be ended at the same time. */
  #next(step: () => Promise<void>): Promise<void> {
    this.#turn = this.#turn.then(step);
    return this.#turn;
  }

  /** One look at a time: behind one that takes long they would pile up. */
  #look(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    void this.#next(async () => this.#watch()).finally(() => (this.#isLooking = false));
  }

  async #watch(): Promise<void> {
    if (this.#stopped) return;
    await this.#makeSure();
    if (this.#owned.size === this.#options.ownables.length) return;
    try {
      const client = await this.#connect();
      for (const ownable of this.#options.ownables) {
        // One that does not start keeps none of the others from it.
        if (!this.#owned.has(ownable.module)) await this.#take(client, ownable).catch((error: unknown) => this.#tellOf(error, `${ownable.module} cannot be taken over; it is tried again`));
      }
    } catch (error) {
      this.#tellOf(error, 'ownership cannot be decided; it is tried again');
    }
  }

  #tellOf(error: unknown, what: string): void {
    if (!this.#stopped) this.#options.log.warn({ err: error }, what);
  }

  /** A connection can be gone without a word, and the locks with it; nor would one that owns nothing learn of what is free. */
  async #makeSure(): Promise<void> {
    const client = this.#client;
    await client?.query('select 1').catch(async () => {
      client.connection.stream.destroy();
      await this.#lost(client);
    });
  }

  async #take(client: pg.Client, ownable: Ownable): Promise<void> {
    const { rows } = await client.query<{ taken: boolean }>('select pg_try_advisory_lock(hashtextextended($1, 0)) as taken', [`cleave:owner:${ownable.module}`]);
    if (!rows[0]!.taken) return;
    this.#owned.set(ownable.module, ownable);
    try {
      await ownable.start();
    } catch (error) {
      this.#owned.delete(ownable.module);
      await client.query('select pg_advisory_unlock(hashtextextended($1, 0))', [`cleave:owner:${ownable.module}`]);
      throw error;
    }
  }

  async #connect(): Promise<pg.Client> {
    if (this.#client) return this.#client;
    const { answerMs = ANSWER_MS } = this.#options;
    const client = new pg.Client({ connectionString: this.#options.url, application_name: 'cleave:owner', keepAlive: true, connectionTimeoutMillis: answerMs, query_timeout: answerMs });
    client.on('error', () => undefined);
    client.on('end', () => void this.#next(async () => this.#lost(client)));
    await client.connect();
    this.#client = client;
    return client;
  }

  async #lost(client: pg.Client): Promise<void> {
    if (this.#client !== client) return;
    this.#client = undefined;
    if (!this.#stopped) await this.#stopAll();
  }

  async #stopAll(): Promise<void> {
    const owned = [...this.#owned.values()];
    await Promise.all(owned.map(async (ownable) => ownable.stop().catch((error: unknown) => this.#options.log.warn({ err: error }, 'an owner could not stop cleanly'))));
    this.#owned.clear();
  }
}

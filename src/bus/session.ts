/**
 * One connection of the bus, from its first word to its end:
 *
 *   connecting --LISTEN--> listening --own beat comes back--> joined --end, error, no beat for long--> ended
 *
 * While joined it is trusted or not: trusted until TRUST_MS after the last answered beat was *sent*, by the
 * monotonic clock and by the wall clock (the former may stand still while a machine is suspended, the latter
 * may be set back; the nearer end counts). A beat is a notification to ourselves on the channel of all,
 * so its return proves that the whole way works, and a pooler in between that drops LISTEN is found out.
 */
import { randomBytes } from 'node:crypto';
import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { Decoder, encode, type Message } from './message.ts';
import { BEAT_MS, TRUST_MS } from './trust.ts';

export interface SessionOptions {
  readonly connectionString: string;
  /** LISTEN has been answered: from here on everything is heard. */
  listening(): unknown;
  /** The first beat came back; the session is trusted as soon as this returns. */
  joined(session: Session): void;
  /** What any session says, this one included, in the one order in which all sessions hear it. */
  receive(message: Message, session: Session): void;
  ended(session: Session, error: Error | undefined): void;
}

const CHANNEL = 'cleave_bus';
const CONNECT_MS = 5_000;
const GOODBYE_MS = 1_000;
/** Unanswered for this long (5 s), the connection is given up. */
const MAX_UNANSWERED = Math.ceil(5_000 / BEAT_MS);
const NOTIFY = {
  name: 'notify',
  text: 'select pg_notify(channel, content) from unnest($1::text[], $2::text[]) as said (channel, content)',
};

export class Session {
  /** Names this connection for its lifetime; never used again. */
  readonly id = randomBytes(10).toString('hex');
  readonly #options: SessionOptions;
  readonly #client: pg.Client;
  readonly #socket = new Socket();
  readonly #decoder = new Decoder();
  readonly #unanswered = new Map<number, { steady: number; wall: number }>();
  readonly #joined = Promise.withResolvers<void>();
  #state: 'connecting' | 'joined' | 'ended' = 'connecting';
  #trustedUntil = { steady: 0, wall: 0 };
  #beats = 0;
  #numbers = 0;
  #timer: NodeJS.Timeout | undefined;
  #unwritten: { channel: string; content: string }[] = [];
  #writing: Promise<void> | undefined;

  private constructor(options: SessionOptions) {
    this.#options = options;
    this.#client = new pg.Client({
      connectionString: options.connectionString,
      application_name: 'cleave-bus',
      connectionTimeoutMillis: CONNECT_MS,
      // No beat watches over the first statement.
      query_timeout: CONNECT_MS,
      stream: () => this.#socket,
    });
    this.#client.on('error', (error) => this.#end(error));
    this.#client.on('end', () => this.#end(undefined));
    this.#client.on('notification', ({ payload }) => this.#hear(payload ?? ''));
    this.#joined.promise.catch(() => {});
  }

  /** Resolves once the session is joined. */
  static async open(options: SessionOptions): Promise<Session> {
    const session = new Session(options);
    try {
      await session.#connect();
    } catch (error) {
      session.#end(error as Error);
      throw error;
    }
    return session;
  }

  /** Whether everything that others have been promised to be known here is known. Costs two clock reads. */
  get trusted(): boolean {
    return performance.now() < this.#trustedUntil.steady && Date.now() < this.#trustedUntil.wall;
  }

  /** Says something to all sessions, or to one. What is said while a write is under way goes out together. */
  send(message: Message, to?: string): void {
    const channel = to === undefined ? CHANNEL : directChannel(to);
    this.#numbers += 1;
    this.#unwritten.push(...encode(message, this.#numbers).map((content) => ({ channel, content })));
    this.#writing ??= this.#write();
  }

  /** Says good-bye, so that nobody waits for this session. */
  async close(): Promise<void> {
    this.#trustedUntil = { steady: 0, wall: 0 };
    clearInterval(this.#timer);
    await Promise.race([this.#sayGoodbye(), sleep(GOODBYE_MS, undefined, { ref: false })]);
    this.#end(undefined);
  }

  async #sayGoodbye(): Promise<void> {
    if (this.#state === 'joined') this.send({ kind: 'bye', from: this.id });
    await this.#writing;
    if (this.#state !== 'ended') await this.#client.end();
  }

  async #connect(): Promise<void> {
    await this.#client.connect();
    await this.#client.query(`listen ${CHANNEL}; listen ${directChannel(this.id)}`);
    this.#options.listening();
    this.#beat();
    this.#timer = setInterval(() => this.#beat(), BEAT_MS);
    await this.#joined.promise;
  }

  #beat(): void {
    if (this.#unanswered.size >= MAX_UNANSWERED) {
      this.#end(new Error(`notifications on ${CHANNEL} do not come back: the connection is dead, or a pooler does not keep LISTEN; connect directly`));
      return;
    }
    this.#beats += 1;
    this.#unanswered.set(this.#beats, { steady: performance.now(), wall: Date.now() });
    this.send({ kind: 'beat', from: this.id, beat: this.#beats });
  }

  #hear(content: string): void {
    const message = this.#decoder.decode(content);
    if (!message || this.#state === 'ended') return;
    if (message.kind === 'beat' && message.from === this.id) this.#answered(message.beat);
    else this.#options.receive(message, this);
  }

  #answered(beat: number): void {
    const sent = this.#unanswered.get(beat);
    if (!sent) return;
    for (const number of this.#unanswered.keys()) if (number <= beat) this.#unanswered.delete(number);
    if (this.#state === 'connecting') {
      this.#state = 'joined';
      this.#options.joined(this);
      this.#joined.resolve();
    }
    this.#trustedUntil = { steady: sent.steady + TRUST_MS, wall: sent.wall + TRUST_MS };
  }

  async #write(): Promise<void> {
    try {
      while (this.#unwritten.length > 0 && this.#state !== 'ended') {
        const batch = this.#unwritten.splice(0);
        await this.#client.query({ ...NOTIFY, values: [batch.map(({ channel }) => channel), batch.map(({ content }) => content)] });
      }
    } catch (error) {
      this.#end(error as Error);
    } finally {
      this.#writing = undefined;
    }
  }

  #end(error: Error | undefined): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#trustedUntil = { steady: 0, wall: 0 };
    clearInterval(this.#timer);
    this.#socket.destroy();
    this.#joined.reject(error ?? new Error('the database closed the connection of the bus'));
    this.#options.ended(this, error);
  }
}

function directChannel(session: string): string {
  return `${CHANNEL}_${session}`;
}

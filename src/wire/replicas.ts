/**
 * The replicas of the services that this process calls, each with its keep-alive connections. A request goes to the better of two
 * that are drawn at random: the one with fewer requests under way. That keeps away from a replica that is slow without
 * anybody having to know why, and does not herd all callers to the one that was idle a moment ago.
 *
 *   trusted --cannot be connected to, or its connection breaks--> suspect for SUSPECT_MS --> trusted
 *   suspect --answers--> trusted
 *
 * Suspects are asked only when nobody else is left. A replica that discovery names no more is forgotten, with its connections, when a new one comes.
 */
import { Pool } from 'undici';
import type { Discovery, Origin } from './discovery.ts';
import { ANSWER_LIMIT } from './protocol.ts';

/** As many calls as a bulkhead lets through to one callee. */
const CONNECTIONS = 128;
const KEEP_ALIVE_MS = 30_000;
const CONNECT_TIMEOUT_MS = 1_000;
const SUSPECT_MS = 1_000;

export interface ReplicaLimits {
  /** Per replica. */
  readonly connections?: number;
  /** Most bytes of an answer; -1: any number, for answers that are not held. */
  readonly answerBytes?: number;
}

export class Replica {
  readonly origin: Origin;
  readonly pool: Pool;
  underWay = 0;
  #suspectUntil = 0;

  constructor(origin: Origin, limits: ReplicaLimits) {
    this.origin = origin;
    const { connections = CONNECTIONS, answerBytes = ANSWER_LIMIT } = limits;
    this.pool = new Pool(origin, { connections, pipelining: 1, keepAliveTimeout: KEEP_ALIVE_MS, keepAliveMaxTimeout: KEEP_ALIVE_MS, connect: { timeout: CONNECT_TIMEOUT_MS }, headersTimeout: 0, bodyTimeout: 0, maxResponseSize: answerBytes });
  }

  get isTrusted(): boolean {
    return this.#suspectUntil === 0 || performance.now() >= this.#suspectUntil;
  }

  suspect(): void {
    this.#suspectUntil = performance.now() + SUSPECT_MS;
  }

  trust(): void {
    this.#suspectUntil = 0;
  }
}

export class Replicas {
  readonly #discovery: Discovery;
  readonly #limits: ReplicaLimits;
  readonly #known = new Map<Origin, Replica>();
  /** Modules that have been asked for. */
  readonly #modules = new Set<string>();

  constructor(discovery: Discovery, limits: ReplicaLimits = {}) {
    this.#discovery = discovery;
    this.#limits = limits;
  }

  /**
   * @param without has been tried already
   * @returns undefined where no replica is known
   */
  choose(module: string, without?: Replica): Replica | undefined {
    this.#modules.add(module);
    const all = this.#discovery.originsOf(module).map((origin) => this.at(origin));
    const others = all.length > 1 ? all.filter((replica) => replica !== without) : all;
    const trusted = others.filter((replica) => replica.isTrusted);
    return betterOfTwo(trusted.length > 0 ? trusted : others);
  }

  /** Connections are closed at once: what is under way fails. */
  async close(): Promise<void> {
    await Promise.all([...this.#known.values()].map(async ({ pool }) => pool.destroy()));
  }

  at(origin: Origin): Replica {
    const known = this.#known.get(origin);
    if (known) return known;
    this.#forgetUnnamed();
    const replica = new Replica(origin, this.#limits);
    this.#known.set(origin, replica);
    return replica;
  }

  #forgetUnnamed(): void {
    const named = new Set([...this.#modules].flatMap((module) => this.#discovery.originsOf(module)));
    for (const [origin, { pool, underWay }] of this.#known) {
      if (named.has(origin) || underWay > 0) continue;
      this.#known.delete(origin);
      // What was sent just now is waited for.
      void pool.close();
    }
  }
}

function betterOfTwo(replicas: readonly Replica[]): Replica | undefined {
  if (replicas.length < 2) return replicas[0];
  const first = Math.floor(Math.random() * replicas.length);
  const second = (first + 1 + Math.floor(Math.random() * (replicas.length - 1))) % replicas.length;
  const [one, other] = [replicas[first]!, replicas[second]!];
  return other.underWay < one.underWay ? other : one;
}

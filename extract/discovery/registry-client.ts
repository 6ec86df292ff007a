/**
 * What the registry knows, followed by a request that waits there for the next change.
 *
 *   asking --it answers-------------------------> known, asking for the next version
 *   asking --it answers, but is settling--------> beside what it lists, those are known of before its start that it has not listed since
 *   asking --it is away, or answers nonsense----> what was known stays; asked again after 0.1 s, doubling to 2 s
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { Client } from 'undici';
import { violationOf } from '../../src/contract/validate.ts';
import type { Discovery, Origin } from '../../src/wire/discovery.ts';
import type { ServiceTokens } from '../../src/wire/service-tokens.ts';
import { Listing, LONG_POLL_MS, REGISTRY, type ReplicaRecord } from '../registry/protocol.ts';

export interface RegistryAccess {
  /** Origin of the registry. */
  readonly url: string;
  readonly tokens: ServiceTokens;
  /** As whom it is asked: a module, or the gateway. */
  readonly caller: string;
  readonly log: Logger;
}

type Known = Readonly<Record<string, ReplicaRecord>>;

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;
const ANSWER_MS = LONG_POLL_MS + 5_000;

export class RegistryClient {
  readonly #access: RegistryAccess;
  readonly #http: Client;
  readonly #closed = new AbortController();
  readonly #following: Promise<void>;
  #replicas: Known = {};
  /** Of the epoch before, and not listed yet in this one. */
  #unheard: Known = {};
  #epoch = '';
  #version = '';
  #isAway = false;

  constructor(access: RegistryAccess) {
    this.#access = access;
    this.#http = new Client(access.url, { headersTimeout: ANSWER_MS, bodyTimeout: ANSWER_MS, connect: { timeout: LONGEST_PAUSE_MS } });
    this.#following = this.#follow();
  }

  /** @param which of a replica's listeners is looked for */
  discovery(which: 'internal' | 'public'): Discovery {
    return { originsOf: (module) => this.#originsOf(module, which), close: async () => this.close() };
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#http.destroy();
    await this.#following;
  }

  #originsOf(module: string, which: 'internal' | 'public'): Origin[] {
    return Object.values(this.#replicas).filter(({ modules }) => modules.includes(module)).map((record) => record[which]);
  }

  async #follow(): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS;
    while (!this.#closed.signal.aborted) {
      try {
        this.#learn(await this.#ask());
        pauseMs = FIRST_PAUSE_MS;
      } catch (error) {
        this.#tellAway(error);
        await sleep(pauseMs, undefined, { signal: this.#closed.signal, ref: false }).catch(() => undefined);
        pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
      }
    }
  }

  async #ask(): Promise<Listing> {
    const { tokens, caller } = this.#access;
    const { statusCode, body } = await this.#http.request({ method: 'GET', path: `/replicas?after=${this.#version}`, headers: { authorization: tokens.bearer({ caller, callee: REGISTRY }) }, signal: this.#closed.signal });
    const answer: unknown = await body.json();
    if (statusCode !== 200 || violationOf(Listing, answer)) throw new Error(`the registry answered ${statusCode}: ${JSON.stringify(answer).slice(0, 200)}`);
    return answer as Listing;
  }

  #learn({ epoch, version, settling, replicas }: Listing): void {
    const before = epoch === this.#epoch ? this.#unheard : this.#replicas;
    this.#unheard = settling ? Object.fromEntries(Object.entries(before).filter(([id]) => !(id in replicas))) : {};
    this.#replicas = { ...this.#unheard, ...replicas };
    this.#epoch = epoch;
    this.#version = version;
    if (this.#isAway) this.#access.log.info('the registry answers again');
    this.#isAway = false;
  }

  /** Once, not at each attempt. */
  #tellAway(error: unknown): void {
    if (this.#isAway || this.#closed.signal.aborted) return;
    this.#isAway = true;
    this.#access.log.warn({ err: error }, 'the registry cannot be asked; what it said last is used');
  }
}

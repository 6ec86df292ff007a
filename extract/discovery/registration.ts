/** A replica's entry in the registry, renewed for as long as it takes calls. */
import { setTimeout as sleep } from 'node:timers/promises';
import { randomUUID } from 'node:crypto';
import { Client } from 'undici';
import type { Life } from '../../src/life.ts';
import { originOf, type Topology } from '../topology/topology.ts';
import { HEARTBEAT_MS, REGISTRY, type ReplicaRecord } from '../registry/protocol.ts';
import type { Seeker } from './discovery-of.ts';
import type { RegistryAccess } from './registry-client.ts';

const ANSWER_MS = 2_000;

export interface Registered {
  readonly name: string;
  readonly modules: readonly string[];
  /** By which others reach it, whatever address it listens on. */
  readonly host: string;
  readonly topology: Topology;
}

/** Where the topology has a registry that services are found by: from now on, until it begins to drain. */
export function register(life: Pick<Life, 'onEnd'>, { name, modules, host, topology }: Registered, listening: Seeker & { public: string; internal: string }): void {
  const { discovery, registry } = topology;
  if (discovery !== 'registry') return;
  const origin = (url: string): string => originOf({ host, port: Number(new URL(url).port) });
  const record = { service: name, modules: [...modules], public: origin(listening.public), internal: origin(listening.internal) };
  const registration = new Registration({ url: originOf(registry!), ...listening }, record);
  life.onEnd(() => registration.end());
}

export class Registration {
  readonly #access: RegistryAccess;
  readonly #record: ReplicaRecord;
  readonly #http: Client;
  readonly #path = `/replicas/${randomUUID()}`;
  readonly #over = new AbortController();
  readonly #renewing: Promise<void>;
  #isAway = false;

  constructor(access: RegistryAccess, record: ReplicaRecord) {
    this.#access = access;
    this.#record = record;
    this.#http = new Client(access.url, { headersTimeout: ANSWER_MS, bodyTimeout: ANSWER_MS, connect: { timeout: ANSWER_MS } });
    this.#renewing = this.#renew();
  }

  /** Tells the registry, so that nobody sends new calls, before the replica drains. A registry that is away finds out by itself. */
  async end(): Promise<void> {
    this.#over.abort();
    // A heartbeat that is under way must not come after the goodbye.
    await this.#renewing;
    await this.#send('DELETE').catch(() => undefined);
    await this.#http.destroy();
  }

  async #renew(): Promise<void> {
    while (!this.#over.signal.aborted) {
      await this.#send('PUT', JSON.stringify(this.#record)).then(() => (this.#isAway = false), (error: unknown) => this.#tellAway(error));
      await sleep(HEARTBEAT_MS, undefined, { signal: this.#over.signal, ref: false }).catch(() => undefined);
    }
  }

  async #send(method: 'PUT' | 'DELETE', body: string | null = null): Promise<void> {
    const { tokens, caller } = this.#access;
    const headers = { authorization: tokens.bearer({ caller, callee: REGISTRY }), ...(body !== null && { 'content-type': 'application/json' }) };
    const answer = await this.#http.request({ method, path: this.#path, headers, body, signal: AbortSignal.timeout(ANSWER_MS) });
    const said = await answer.body.text();
    if (answer.statusCode !== 204) throw new Error(`the registry answered ${answer.statusCode}: ${said.slice(0, 200)}`);
  }

  /** Once, not at each attempt. */
  #tellAway(error: unknown): void {
    if (!this.#isAway) this.#access.log.warn({ err: error }, 'the registry does not take the registration; it is tried again');
    this.#isAway = true;
  }
}

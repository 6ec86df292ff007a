/** The modules elsewhere: what the host needs of them, over the wire. */
import type { Contract } from '../contract/contract.ts';
import type { Client } from '../contract/types.ts';
import type { ConnectPeers, Peers, PeerSurroundings } from '../host/peers.ts';
import type { ModuleHealth } from '../http/platform-routes.ts';
import { type BreakerState, CalleeGuard } from './callee-guard.ts';
import type { Discovery } from './discovery.ts';
import { showPeers } from './peer-metrics.ts';
import { remoteClient } from './remote-client.ts';
import { RemoteDelivery } from './remote-delivery.ts';
import { Replicas } from './replicas.ts';
import type { ServiceTokens } from './service-tokens.ts';

export interface WireOptions {
  readonly discovery: Discovery;
  readonly tokens: ServiceTokens;
  /** Of an event handler; what a batch of them may take follows from it. */
  readonly handlerTimeoutMs: number;
}

/** An intake gives a batch its time, then its events one by one together the same, the last of which may take all of it once more. */
const TIMES_PER_BATCH = 3;
const ON_THE_WAY_MS = 5_000;

export function wirePeers(options: WireOptions): ConnectPeers {
  return (surroundings) => new WirePeers(options, surroundings);
}

const HEALTH: Readonly<Record<BreakerState, ModuleHealth>> = { closed: 'healthy', 'half-open': 'degraded', open: 'unhealthy' };

class WirePeers implements Peers {
  readonly deliver: Peers['deliver'];
  readonly #options: WireOptions;
  readonly #surroundings: PeerSurroundings;
  readonly #replicas: Replicas;
  readonly #delivery: RemoteDelivery;
  readonly #guards = new Map<string, CalleeGuard>();

  constructor(options: WireOptions, surroundings: PeerSurroundings) {
    this.#options = options;
    this.#surroundings = surroundings;
    this.#replicas = new Replicas(options.discovery);
    showPeers(surroundings.metrics.registry, this.#guards);
    this.#delivery = new RemoteDelivery({ replicas: this.#replicas, tokens: options.tokens, log: surroundings.log, timeoutMs: TIMES_PER_BATCH * options.handlerTimeoutMs + ON_THE_WAY_MS });
    this.deliver = async (subscriber, events, leaving) => this.#delivery.deliver(subscriber, events, leaving);
  }

  client<C extends Contract>(contract: C, caller: string): Client<C> {
    const { metrics, log, tracing } = this.#surroundings;
    return remoteClient(contract, {
      caller,
      replicas: this.#replicas,
      guard: this.#guardOf(contract.name),
      tokens: this.#options.tokens,
      log: log.child({ module: caller }),
      tracing,
      recorder: (operation) => metrics.operation(contract.name, operation, caller),
    });
  }

  health(): Record<string, ModuleHealth> {
    return Object.fromEntries([...this.#guards].map(([module, guard]) => [module, this.#options.discovery.originsOf(module).length === 0 ? 'unhealthy' : HEALTH[guard.state]]));
  }

  halt(): void {
    this.#delivery.close();
  }

  async close(): Promise<void> {
    this.halt();
    await this.#replicas.close();
    await this.#options.discovery.close();
  }

  #guardOf(module: string): CalleeGuard {
    const known = this.#guards.get(module);
    if (known) return known;
    const guard = new CalleeGuard(module, (state) => this.#surroundings.log.warn({ callee: module, state }, `the circuit breaker for ${module} is ${state}`));
    this.#guards.set(module, guard);
    return guard;
  }
}

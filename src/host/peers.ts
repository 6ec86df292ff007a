/** The modules that are not hosted here, as the host sees them. Implemented by `src/wire`. */
import type { Logger } from 'pino';
import type { Contract } from '../contract/contract.ts';
import type { Client } from '../contract/types.ts';
import type { Deliver } from '../events/delivery.ts';
import type { ModuleHealth } from '../http/platform-routes.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { Tracing } from '../trace/tracing.ts';

/** What peers need of the process that they are used from. */
export interface PeerSurroundings {
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly tracing: Tracing | undefined;
}

export interface Peers {
  /** A client of a module elsewhere, for the module `caller`. */
  client<C extends Contract>(contract: C, caller: string): Client<C>;
  /** Delivers to a subscriber elsewhere. Waits while it cannot be reached; none is handled when `leaving` is aborted. */
  readonly deliver: Deliver;
  /** How the modules elsewhere are, as far as calls to them tell. */
  health(): Readonly<Record<string, ModuleHealth>>;
  /** No event waits for its subscriber any longer; calls go on. */
  halt(): void;
  /** Connections are closed; calls under way fail. */
  close(): Promise<void>;
}

/** Connects to the modules elsewhere once the host has what they need. */
export type ConnectPeers = (surroundings: PeerSurroundings) => Peers;

/** How the services of a topology are found, for whoever calls them. */
import type { Logger } from 'pino';
import { type Discovery, staticDiscovery } from '../../src/wire/discovery.ts';
import type { ServiceTokens } from '../../src/wire/service-tokens.ts';
import { internalOrigins, originOf, publicOrigins, type ReplicaAddress, type Topology } from '../topology/topology.ts';
import { DnsAddresses, type DnsName } from './dns-discovery.ts';
import { RegistryClient } from './registry-client.ts';

export interface Finder {
  /** Internal listeners, for calls and events. */
  readonly internal: Discovery;
  /** Public routes, for gateways. */
  readonly public: Discovery;
}

export interface Seeker {
  /** As whom a registry is asked: a module, or the gateway. */
  readonly caller: string;
  readonly tokens: ServiceTokens;
  readonly log: Logger;
}

/** Begins to look where there is something to look up. Both are closed by closing either. */
export function discoveryOf(topology: Topology, { caller, tokens, log }: Seeker): Finder {
  const { discovery, registry } = topology;
  if (discovery === 'dns') return byDns(topology);
  if (discovery === 'static') return { internal: staticDiscovery(internalOrigins(topology)), public: staticDiscovery(publicOrigins(topology)) };
  const client = new RegistryClient({ url: originOf(registry!), caller, tokens, log });
  return { internal: client.discovery('internal'), public: client.discovery('public') };
}

/** The replicas of a service share a name, and thus their ports. */
function byDns(topology: Topology): Finder {
  const addresses = new DnsAddresses({ hosts: [...new Set(topology.services.map(({ replicas: [first] }) => first!.host))] });
  return { internal: addresses.discovery(namesOf(topology, ({ internalPort }) => internalPort)), public: addresses.discovery(namesOf(topology, ({ port }) => port)) };
}

function namesOf({ services }: Topology, portOf: (address: ReplicaAddress) => number | undefined): Record<string, DnsName> {
  const entries = services.flatMap(({ modules, replicas: [first] }) => {
    const port = portOf(first!);
    return port === undefined ? [] : modules.map((module): [string, DnsName] => [module, { host: first!.host, port }]);
  });
  return Object.fromEntries(entries);
}

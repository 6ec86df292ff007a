/** A topology: which modules run in which services, where those are, and how they find each other. */
import { isIPv6 } from 'node:net';
import { OneOf, strict } from '../../src/contract/schemas.ts';
import { type Static, Type } from '@sinclair/typebox';

const Name = Type.String({ pattern: '^[a-z][a-z0-9-]{0,29}$', description: 'lower-case letters, digits and dashes' });
const Port = Type.Integer({ minimum: 1, maximum: 65_535 });
/** 0 takes a free one, which is told to the registry. */
const ServicePort = Type.Integer({ minimum: 0, maximum: 65_535 });
const Host = Type.String({ pattern: '^[0-9A-Za-z.:-]+$', description: 'an address or host name' });

export const ServiceSchema = strict({
  modules: Type.Array(Name, { minItems: 1, description: 'Modules that run in it' }),
  host: Type.Optional(Host),
  port: ServicePort,
  internalPort: Type.Optional(ServicePort),
  replicas: Type.Optional(Type.Integer({ minimum: 1, maximum: 16 })),
  database: Type.Optional(Type.String({ pattern: '^[a-z][a-z0-9_]{0,62}$', description: 'a database of the embedded server' })),
});

export const TopologySchema = strict({
  name: Name,
  summary: Type.Optional(Type.String()),
  gateway: Type.Optional(strict({ host: Type.Optional(Host), port: Port })),
  discovery: Type.Optional(OneOf(['static', 'dns', 'registry'])),
  registry: Type.Optional(strict({ host: Type.Optional(Host), port: Port })),
  events: Type.Optional(OneOf(['http'])),
  services: Type.Record(Type.String(), ServiceSchema),
});

export type TopologyFile = Static<typeof TopologySchema>;

/** Where one replica of a service listens. */
export interface ReplicaAddress {
  readonly host: string;
  /** Of its public routes. */
  readonly port: number;
  /** Of its internal listener; undefined where no other service is there to call it. */
  readonly internalPort: number | undefined;
}

export interface Service {
  readonly name: string;
  readonly modules: readonly string[];
  readonly replicas: readonly ReplicaAddress[];
  /** Name of its database in the embedded server. */
  readonly database: string;
}

export interface Topology {
  readonly name: string;
  readonly summary: string;
  /** Where the public API answers; undefined where the only service answers it. */
  readonly gateway: { readonly host: string; readonly port: number } | undefined;
  readonly discovery: 'static' | 'dns' | 'registry';
  readonly registry: { readonly host: string; readonly port: number } | undefined;
  readonly services: readonly Service[];
}

const LOOPBACK = '127.0.0.1';

/** Fills in what the file leaves out. Replicas listen on ports one behind the other. */
export function topologyOf(file: TopologyFile): Topology {
  const { name, summary = '', gateway, discovery = 'static', registry } = file;
  return {
    name,
    summary,
    gateway: gateway && { host: gateway.host ?? LOOPBACK, port: gateway.port },
    discovery,
    registry: registry && { host: registry.host ?? LOOPBACK, port: registry.port },
    services: Object.entries(file.services).map(([service, entry]) => serviceOf(name, service, entry)),
  };
}

/** Topologies do not share databases: where a module's data lie in one of them, another one would find old ones. */
function serviceOf(topology: string, name: string, { modules, host = LOOPBACK, port, internalPort, replicas = 1, database }: Static<typeof ServiceSchema>): Service {
  return {
    name,
    modules,
    replicas: Array.from({ length: replicas }, (_, n) => ({ host, port: nth(port, n), internalPort: internalPort === undefined ? undefined : nth(internalPort, n) })),
    database: database ?? `cleave_${topology}_${name}`.replaceAll('-', '_'),
  };
}

function nth(port: number, n: number): number {
  return port === 0 ? 0 : port + n;
}

/** @param host an address or a name; IPv6 without brackets */
export function originOf({ host, port }: { readonly host: string; readonly port: number }): string {
  return `http://${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

/** The service that hosts a module. */
export function serviceHosting(topology: Topology, module: string): Service | undefined {
  return topology.services.find(({ modules }) => modules.includes(module));
}

/** Origins of the internal listeners by module, for those that have one. */
export function internalOrigins(topology: Topology): Record<string, string[]> {
  return originsBy(topology, ({ host, internalPort }) => internalPort && originOf({ host, port: internalPort }));
}

/** Origins of the public routes by module. */
export function publicOrigins(topology: Topology): Record<string, string[]> {
  return originsBy(topology, originOf);
}

function originsBy({ services }: Topology, origin: (address: ReplicaAddress) => string | undefined | 0): Record<string, string[]> {
  const entries = services.flatMap(({ modules, replicas }) => modules.map((module) => [module, replicas.map(origin).filter((each) => typeof each === 'string')] as const));
  return Object.fromEntries(entries);
}

/** Which processes a topology needs, and what has to be up before what; pure. */
import type { AnyModule } from '../../src/module.ts';
import type { ReplicaAddress, Service, Topology } from '../topology/topology.ts';

/** A process of `npm run extract`. */
export interface ProcessPlan {
  /** Unique: `orders`, or `orders-2` for its second replica. */
  readonly name: string;
  readonly modules: readonly string[];
  /** Command and arguments, but for the topology. */
  readonly args: readonly string[];
  readonly host: string;
  /** Of its public routes; 0 where it takes a free one and tells which. */
  readonly port: number;
  readonly internalPort: number | undefined;
  /** Variables in place of what all processes get. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** It starts after those of smaller waves, and stops before them. */
  readonly wave: number;
}

/** The registry first, then services after those they call, the gateway last. */
export function planOf(topology: Topology, modules: readonly AnyModule[]): ProcessPlan[] {
  const { registry, gateway, services } = topology;
  const waves = wavesOf(services, modules);
  const replicas = services.flatMap((service) => service.replicas.map((address, n) => replica(service, address, n + 1, waves.get(service.name)!, gateway ? BEHIND_GATEWAY : {})));
  const last = Math.max(0, ...waves.values()) + 1;
  return [
    ...(registry ? [single('registry', registry, 0)] : []),
    ...replicas.toSorted((a, b) => a.wave - b.wave),
    ...(gateway ? [single('gateway', gateway, last)] : []),
  ];
}

/** What stands before the gateway, it believes; services believe the gateway, as `serve` sees to. */
const BEHIND_GATEWAY = { TRUST_PROXY: undefined };

function single(name: string, { host, port }: { host: string; port: number }, wave: number): ProcessPlan {
  return { name, modules: [], args: [name], host, port, internalPort: undefined, env: {}, wave };
}

function replica({ name, modules, replicas }: Service, { host, port, internalPort }: ReplicaAddress, number: number, wave: number, env: ProcessPlan['env']): ProcessPlan {
  const ofSeveral = replicas.length > 1;
  return { name: ofSeveral ? `${name}-${number}` : name, modules, args: ['serve', ...modules, '--replica', String(number)], host, port, internalPort, env, wave };
}

/** By service: 1 where it calls nobody, else one more than the highest of those it calls. Two that call each other are taken as they come. */
export function wavesOf(services: readonly Service[], modules: readonly AnyModule[]): Map<string, number> {
  const waves = new Map<string, number>();
  const waveOf = (service: Service, path: readonly Service[]): number => {
    const called = calledBy(service, services, modules).filter((other) => !path.includes(other));
    const wave = waves.get(service.name) ?? 1 + Math.max(0, ...called.map((other) => waveOf(other, [...path, other])));
    waves.set(service.name, wave);
    return wave;
  };
  for (const service of services) waveOf(service, [service]);
  return waves;
}

function calledBy(service: Service, services: readonly Service[], modules: readonly AnyModule[]): Service[] {
  const hosted = modules.filter(({ contract }) => service.modules.includes(contract.name));
  const needed = new Set(hosted.flatMap(({ dependencies }) => Object.values(dependencies).map(({ name }) => name)));
  return services.filter((other) => other !== service && other.modules.some((module) => needed.has(module)));
}

export interface Connections {
  /** That the server takes. */
  readonly max: number;
  readonly processes: number;
  /** Modules, counted once for each process that hosts them. */
  readonly modules: number;
}

/** Bus and ownership of a process, and what it opens while it starts. */
const PER_PROCESS = 3;
/** Of a module's outbox. */
const PER_MODULE = 2;
/** For administrators, and for whoever looks into the database. */
const KEPT_FREE = 15;
const LARGEST_POOL = 10;

/** Connections for each module's pool, so that all processes together find enough. */
export function poolSizeFor({ max, processes, modules }: Connections): number {
  return Math.min(LARGEST_POOL, Math.floor((max - KEPT_FREE - processes * PER_PROCESS) / Math.max(1, modules)) - PER_MODULE);
}

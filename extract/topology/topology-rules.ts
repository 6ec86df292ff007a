/** What must hold of a topology beyond its form; pure. */
import type { Topology } from './topology.ts';

/** Something wrong, and the place in the file that says so. */
export interface Mistake {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

const LAST_PORT = 65_535;

/** @param modules all modules that there are */
export function mistakesIn(topology: Topology, modules: readonly string[]): Mistake[] {
  return [...everyModuleRunsOnce(topology, modules), ...everyServiceCanBeReached(topology), ...noAddressIsTakenTwice(topology), ...portsExist(topology), ...theRegistryIsNamed(topology), ...freePortsAreTold(topology), ...dnsCounts(topology)];
}

function everyModuleRunsOnce({ services }: Topology, modules: readonly string[]): Mistake[] {
  const placed = services.flatMap(({ name, modules: hosted }) => hosted.map((module, n) => ({ module, service: name, path: ['services', name, 'modules', n] })));
  const unknown = placed.filter(({ module }) => !modules.includes(module)).map(({ module, path }) => ({ path, message: `there is no module ${module}; there are ${modules.join(', ')}` }));
  const twice = placed.flatMap(({ module, path, service }, n) => {
    const before = placed.slice(0, n).find((other) => other.module === module);
    return before ? [{ path, message: `${module} runs in ${before.service} and in ${service}: a module runs in one service` }] : [];
  });
  const nowhere = modules.filter((module) => !placed.some((each) => each.module === module)).map((module) => ({ path: ['services'], message: `${module} runs nowhere: put it into a service` }));
  return [...unknown, ...twice, ...nowhere];
}

function everyServiceCanBeReached({ services, gateway }: Topology): Mistake[] {
  if (services.length === 1) return [];
  const without = services.filter(({ replicas }) => replicas.some(({ internalPort }) => internalPort === undefined));
  const unreachable = without.map(({ name }) => ({ path: ['services', name], message: `${name} lacks internalPort: other services must reach it` }));
  return gateway ? unreachable : [...unreachable, { path: ['services'], message: 'several services need a gateway: add gateway with its port' }];
}

function noAddressIsTakenTwice({ services, gateway, registry }: Topology): Mistake[] {
  const taken = new Map<string, string>();
  const mistakes: Mistake[] = [];
  const take = (address: string, what: string, path: Mistake['path']): void => {
    const before = taken.get(address);
    if (address.endsWith(':0')) return;
    if (before) mistakes.push({ path, message: `${what} and ${before} share the address ${address}` });
    else taken.set(address, what);
  };
  if (gateway) take(`${gateway.host}:${gateway.port}`, 'the gateway', ['gateway', 'port']);
  if (registry) take(`${registry.host}:${registry.port}`, 'the registry', ['registry', 'port']);
  for (const { name, replicas } of services) {
    for (const { host, port, internalPort } of replicas) {
      take(`${host}:${port}`, name, ['services', name, 'port']);
      if (internalPort !== undefined) take(`${host}:${internalPort}`, name, ['services', name, 'internalPort']);
    }
  }
  return mistakes;
}

function portsExist({ services }: Topology): Mistake[] {
  const lasts = services.flatMap(({ name, replicas }) => (['port', 'internalPort'] as const).map((which) => ({ name, which, port: replicas.at(-1)![which] ?? 0 })));
  return lasts.filter(({ port }) => port > LAST_PORT).map(({ name, which, port }) => ({ path: ['services', name, which], message: `the last replica of ${name} would listen on ${port}, but ports end at ${LAST_PORT}` }));
}

function theRegistryIsNamed({ discovery, registry }: Topology): Mistake[] {
  return discovery === 'registry' && !registry ? [{ path: ['discovery'], message: 'discovery by registry needs a registry with its port' }] : [];
}

function freePortsAreTold({ discovery, services }: Topology): Mistake[] {
  if (discovery === 'registry') return [];
  const free = services.flatMap(({ name, replicas: [first] }) => [...(first!.port === 0 ? [{ name, port: 'port' }] : []), ...(first!.internalPort === 0 ? [{ name, port: 'internalPort' }] : [])]);
  return free.map(({ name, port }) => ({ path: ['services', name, port], message: `${name} takes any free ${port}, and nobody learns which: give it one, or use discovery: registry` }));
}

function dnsCounts({ discovery, services }: Topology): Mistake[] {
  const counted = discovery === 'dns' ? services.filter(({ replicas }) => replicas.length > 1) : [];
  return counted.map(({ name }) => ({ path: ['services', name, 'replicas'], message: `${name} has as many replicas as its host name has addresses: leave replicas out` }));
}

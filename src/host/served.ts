/** What a host offers to other services: its modules, as the internal listener serves them. */
import type { AnyModule } from '../module.ts';
import type { Served } from '../wire/internal-server.ts';
import { eventDeskContract, servedDesk } from './event-desk.ts';
import { type Host, KERNEL } from './host.ts';

/** Stands in front of the services, and asks what the kernel asks. */
export const GATEWAY = 'gateway';

/** @param modules all modules that there are: who may call follows from what they declare */
export function served(host: Host, modules: readonly AnyModule[]): Served[] {
  return [...servedModules(host, modules), ...servedDesks(host)];
}

/** Where the gateway asks for the events of all modules. */
function servedDesks(host: Host): Served[] {
  return host.hosted.map(({ contract: { name } }) => ({
    contract: eventDeskContract(name),
    callers: new Set([GATEWAY]),
    publishers: new Set<string>(),
    subscribers: [],
    client: (caller) => servedDesk(host.module(name), host.metrics, caller),
    handle: async () => [],
  }));
}

function servedModules(host: Host, modules: readonly AnyModule[]): Served[] {
  return host.hosted.map(({ contract, consumes }) => ({
    contract,
    callers: new Set([KERNEL, GATEWAY, ...modules.filter(({ dependencies }) => Object.values(dependencies).some(({ name }) => name === contract.name)).map((module) => module.contract.name)]),
    publishers: new Set(Object.values(consumes).map(({ name }) => name)),
    subscribers: [...host.module(contract.name).intakes.keys()],
    client: (caller) => host.client(contract, caller),
    handle: async (subscriber, events) => host.handle(subscriber, events),
  }));
}

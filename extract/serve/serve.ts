/** `serve <module>…`: runs just those modules, as a service. */
import { discoverModules } from '../../src/host/discover.ts';
import { Life } from '../../src/life.ts';
import { type Command, readArguments, requireModules, UsageError } from '../command.ts';
import { readTopology } from '../topology/read-topology.ts';
import { type Service, serviceHosting, type Topology } from '../topology/topology.ts';
import { startService } from './service.ts';

const HELP = `npm run extract -- serve <module>… [--topology NAME|FILE] [--replica N]

Runs the named modules as a service of their own: with their own port, their own database, and the way to the other modules.

  --topology NAME|FILE  where the other modules are, and where this service listens (default: microservices)
  --replica N           which replica of the service this is, from 1 on (default: 1)

Settings are environment variables, as for npm start (docs/settings.md), and:

  PORT, INTERNAL_PORT   in place of the topology's
  <MODULE>_DATABASE_URL its database; without it one of its own is made on the server of DATABASE_URL, or on the embedded one
  SERVICE_SECRET        signs the tokens by which services know each other; needed in production

Exit codes: 0 after a signal, 1 where it cannot start, 2 for arguments or settings that make no sense.
`;

const options = { topology: { type: 'string' }, replica: { type: 'string' } } as const;

export const command: Command = {
  name: 'serve',
  summary: 'Runs modules as a service of their own.',
  help: HELP,
  async run(args) {
    const { values, positionals } = readArguments(args, options, 'serve');
    const known = (await discoverModules()).map(({ contract }) => contract.name);
    if (positionals.length === 0) throw new UsageError('serve needs the modules that shall run', `There are ${known.join(', ')}.`);
    requireModules(positionals, known);
    const modules = [...new Set(positionals)];
    const topology = await readTopology(String(values['topology'] ?? 'microservices'), known);
    const service = serviceOf(topology, modules);
    const address = service.replicas[replicaOf(values['replica']) - 1];
    if (!address) throw new UsageError(`${service.name} has ${service.replicas.length} replicas in the topology ${topology.name}`, `Name one from 1 to ${service.replicas.length}.`);
    const env = { PORT: String(address.port), HOST: address.host, INTERNAL_PORT: String(address.internalPort ?? 0), INTERNAL_HOST: address.host, ...behindGateway(topology), ...process.env };
    await Life.run(async (life) => startService(life, { name: service.name, modules, database: service.database, topology, host: address.host, env }));
    return undefined;
  },
};

/** The topology's service of these modules, or, for others than it knows, one at the address of the first. */
function serviceOf(topology: Topology, modules: readonly string[]): Service {
  const service = serviceHosting(topology, modules[0]!)!;
  const isIt = service.modules.length === modules.length && modules.every((module) => service.modules.includes(module));
  return isIt ? service : { ...service, name: modules.join('-'), modules, database: `cleave_${topology.name}_${modules.join('_')}`.replaceAll('-', '_').slice(0, 63) };
}

function replicaOf(given: string | boolean | undefined): number {
  const number = Number(given ?? 1);
  if (!Number.isInteger(number) || number < 1) throw new UsageError(`--replica is ${String(given)}, but must be a whole number from 1 on`, 'See npm run extract -- serve --help.');
  return number;
}

/** What the gateway says of a request's client is believed. */
function behindGateway({ gateway }: Topology): Record<string, string> {
  return gateway ? { TRUST_PROXY: gateway.host } : {};
}

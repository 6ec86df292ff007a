/** `serve <module>…`: runs just those modules, as a service. */
import { lookup } from 'node:dns/promises';
import { discoverModules } from '../../src/host/discover.ts';
import { Life, say } from '../../src/life.ts';
import { StartError } from '../../src/settings/start-error.ts';
import { type Command, readArguments, requireModules, UsageError } from '../command.ts';
import { readTopology } from '../topology/read-topology.ts';
import { type Service, serviceHosting, type Topology } from '../topology/topology.ts';
import { aboutStubs } from '../stubs/about-stubs.ts';
import { stubTokens } from '../stubs/stub-tokens.ts';
import { startService } from './service.ts';

const HELP = `npm run extract -- serve <module>… [--topology NAME|FILE] [--replica N] [--stub-peers]

Runs the named modules as a service of their own: with their own port, their own database, and the way to the other modules.

  --topology NAME|FILE  where the other modules are, and where this service listens (default: microservices)
  --replica N           which replica of the service this is, from 1 on (default: 1)
  --stub-peers          stand-ins take the place of the other modules: they answer what their contracts allow, made up, and take
                        every event; tokens to try it with are shown. For development and tests alone

Settings are environment variables, as for npm start (docs/settings.md), and:

  PORT, INTERNAL_PORT   in place of the topology's
  <MODULE>_DATABASE_URL its database; without it one of its own is made on the server of DATABASE_URL, or on the embedded one
  TRUST_PROXY           whose word on clients' addresses is taken (default: the gateway's)
  SERVICE_SECRET        signs the tokens by which services know each other; needed in production

Exit codes: 0 after a signal, 1 where it cannot start, 2 for arguments or settings that make no sense.
`;

const ANY_ADDRESS = ['0.0.0.0', '::'];
const THIS_MACHINE = '127.0.0.1, ::1';

const options = { topology: { type: 'string' }, replica: { type: 'string' }, 'stub-peers': { type: 'boolean' } } as const;

export const command: Command = {
  name: 'serve',
  summary: 'Runs modules as a service of their own.',
  help: HELP,
  async run(args) {
    const { values, positionals } = readArguments(args, options, 'serve');
    const all = await discoverModules();
    const known = all.map(({ contract }) => contract.name);
    if (positionals.length === 0) throw new UsageError('serve needs the modules that shall run', `There are ${known.join(', ')}.`);
    requireModules(positionals, known);
    // In one order, since a database and a name are made of them.
    const modules = [...new Set(positionals)].toSorted();
    const isStubbed = values['stub-peers'] === true;
    if (isStubbed && process.env['NODE_ENV'] === 'production') throw new UsageError('--stub-peers makes up what other modules would say, and NODE_ENV is production', 'Leave it out, or NODE_ENV.');
    const topology = await readTopology(String(values['topology'] ?? 'microservices'), known);
    const service = isStubbed ? stubbed(serviceOf(topology, modules)) : serviceOf(topology, modules);
    const address = service.replicas[replicaOf(values['replica']) - 1];
    if (!address) throw new UsageError(`${service.name} has ${service.replicas.length} replicas in the topology ${topology.name}`, `Name one from 1 to ${service.replicas.length}.`);
    const env = { PORT: String(address.port), HOST: address.host, INTERNAL_PORT: String(address.internalPort ?? 0), INTERNAL_HOST: address.host, ...(!isStubbed && !process.env['TRUST_PROXY'] && (await behindGateway(topology))), ...process.env };
    const stubs = isStubbed ? await stubTokens() : undefined;
    await Life.run(async (life) => {
      await startService(life, { name: service.name, modules, database: service.database, topology, host: address.host, stubs, env });
      if (stubs && !life.isEnding) say(aboutStubs(stubs, modules, all));
    });
    return undefined;
  },
};

/** The topology's service of these modules, or, for others than it knows, one at the address of the first. */
function serviceOf(topology: Topology, modules: readonly string[]): Service {
  const service = serviceHosting(topology, modules[0]!)!;
  const isIt = service.modules.length === modules.length && modules.every((module) => service.modules.includes(module));
  return isIt ? service : { ...service, name: modules.join('-'), modules, database: `cleave_${topology.name}_${modules.join('_')}`.replaceAll('-', '_').slice(0, 63) };
}

/** What stand-ins have taken must not be missing elsewhere: their events count as handled. */
function stubbed(service: Service): Service {
  return { ...service, database: `cleave_stubs_${service.modules.join('_')}`.replaceAll('-', '_').slice(0, 63) };
}

function replicaOf(given: string | boolean | undefined): number {
  const number = Number(given ?? 1);
  if (!Number.isInteger(number) || number < 1) throw new UsageError(`--replica is ${String(given)}, but must be a whole number from 1 on`, 'See npm run extract -- serve --help.');
  return number;
}

/** What the gateway says of a request's client is believed. One that listens on every address of this machine comes from this machine. */
async function behindGateway({ gateway }: Topology): Promise<Record<string, string>> {
  if (!gateway) return {};
  if (ANY_ADDRESS.includes(gateway.host)) return { TRUST_PROXY: THIS_MACHINE };
  const addresses = await lookup(gateway.host, { all: true }).catch((error: Error) => {
    throw new StartError(`the gateway's host ${gateway.host} cannot be looked up: ${error.message}`, 'Mend gateway.host in the topology, or name the gateway\'s addresses in TRUST_PROXY.');
  });
  return { TRUST_PROXY: addresses.map(({ address }) => address).join(', ') };
}

/** `gateway`: one address in front of the services of a topology. */
import { resolve } from 'node:path';
import { discoverModules, projectRoot } from '../../src/host/discover.ts';
import { Life, openLog, say } from '../../src/life.ts';
import { GATEWAY } from '../../src/host/served.ts';
import type { AnyModule } from '../../src/module.ts';
import { checkSettings, kernelSettings, type KernelSettings } from '../../src/settings/settings.ts';
import { startTracing } from '../../src/trace/start.ts';
import { ServiceTokens } from '../../src/wire/service-tokens.ts';
import { type Command, EXIT_USAGE, readArguments, UsageError } from '../command.ts';
import { discoveryOf } from '../discovery/discovery-of.ts';
import { tellParent } from '../parent.ts';
import { serviceSecret } from '../serve/service-secret.ts';
import { readTopology } from '../topology/read-topology.ts';
import type { Topology } from '../topology/topology.ts';
import { startGateway } from './gateway.ts';
import { type GatewaySettings, gatewaySettings } from './gateway-settings.ts';

const HELP = `npm run extract -- gateway [--topology NAME|FILE]

Runs the gateway in front of the services of a topology: the whole public API at one address, whatever runs where.

  --topology NAME|FILE  which services there are, where they are, and where the gateway listens (default: microservices)

Settings are environment variables, as for npm start (docs/settings.md), and:

  PORT, HOST            in place of the topology's
  REDIS_URL             where several gateways count requests together
  UPSTREAM_TIMEOUT_MS   how long a service may take to begin its answer (default: 15000)
  SERVICE_SECRET        signs the tokens by which services know each other; needed in production

Exit codes: 0 after a signal, 1 where it cannot start, 2 for arguments or settings that make no sense.
`;

const options = { topology: { type: 'string' } } as const;

export const command: Command = {
  name: 'gateway',
  summary: 'Runs the gateway in front of services.',
  help: HELP,
  async run(args) {
    const { values, positionals } = readArguments(args, options, 'gateway');
    if (positionals.length > 0) throw new UsageError(`gateway takes no arguments, but was given ${positionals.join(' ')}`, 'Name a topology with --topology.');
    const modules = await discoverModules();
    const topology = await readTopology(String(values['topology'] ?? 'microservices'), modules.map(({ contract }) => contract.name));
    const { gateway } = topology;
    if (!gateway) throw new UsageError(`the topology ${topology.name} has no gateway`, 'Its only service answers the public API itself; or add gateway with its port.');
    const settings = readSettings({ PORT: String(gateway.port), HOST: gateway.host, ...process.env });
    if (!settings) return EXIT_USAGE;
    await Life.run(async (life) => start(life, modules, topology, settings));
    return undefined;
  },
};

type Settings = KernelSettings & GatewaySettings;

async function start(life: Life, modules: readonly AnyModule[], topology: Topology, settings: Settings): Promise<void> {
  life.allowToDrain(settings.SHUTDOWN_TIMEOUT_MS);
  const secret = await serviceSecret(settings.SERVICE_SECRET, { production: settings.NODE_ENV === 'production', dataDir: resolve(projectRoot, settings.DATA_DIR) });
  const log = openLog(settings).child({ service: 'gateway' });
  const tracing = await startTracing(settings, log);
  if (tracing) life.onEnd(() => tracing.stop(life.leftToDrainMs));
  if (life.isEnding) return;
  const tokens = new ServiceTokens(secret);
  const { public: publicly, internal: internally } = discoveryOf(topology, { caller: GATEWAY, tokens, log });
  const gateway = await startGateway({ modules, publicly, internally, tokens, settings, log, tracing: tracing?.tracing });
  life.onEnd(async () => {
    const hangUp = setTimeout(() => gateway.hangUp(), settings.SHUTDOWN_TIMEOUT_MS);
    await gateway.stop().finally(() => clearTimeout(hangUp));
  });
  tellParent({ public: gateway.url });
  say(`The gateway of ${topology.name} is up after ${(performance.now() / 1_000).toFixed(1)} s: ${gateway.url}`);
}

/** @returns undefined when any setting is bad, which has been said */
function readSettings(env: Readonly<Record<string, string | undefined>>): Settings | undefined {
  const { values, problems, warnings } = checkSettings({ kernel: kernelSettings, gateway: gatewaySettings }, env);
  for (const sentence of [...warnings, ...problems]) process.stderr.write(`${sentence}\n`);
  return problems.length > 0 ? undefined : ({ ...values['kernel'], ...values['gateway'] } as Settings);
}

/** `registry`: tells services and gateways which replicas are there and well. */
import { resolve } from 'node:path';
import { discoverModules, projectRoot } from '../../src/host/discover.ts';
import { Life, openLog, say } from '../../src/life.ts';
import { listen } from '../../src/http/listen.ts';
import { checkSettings, kernelSettings, type KernelSettings } from '../../src/settings/settings.ts';
import { ServiceTokens } from '../../src/wire/service-tokens.ts';
import { type Command, EXIT_USAGE, readArguments, UsageError } from '../command.ts';
import { tellParent } from '../parent.ts';
import { serviceSecret } from '../serve/service-secret.ts';
import { type ServiceSettings, serviceSettings } from '../serve/service-settings.ts';
import { readTopology } from '../topology/read-topology.ts';
import { createRegistry } from './server.ts';

const HELP = `npm run extract -- registry --topology NAME|FILE

Runs the registry of a topology with \`discovery: registry\`: services register there, are asked whether they are ready, and
are forgotten when they leave or fall silent. It keeps nothing: after a restart services register within a second.

Settings: PORT and HOST in place of the topology's, SERVICE_SECRET, DATA_DIR, LOG_LEVEL (docs/settings.md).

Exit codes: 0 after a signal, 1 where it cannot start, 2 for arguments or settings that make no sense.
`;

const options = { topology: { type: 'string' } } as const;

export const command: Command = {
  name: 'registry',
  summary: 'Runs the registry of a topology.',
  help: HELP,
  async run(args) {
    const { values, positionals } = readArguments(args, options, 'registry');
    if (positionals.length > 0 || values['topology'] === undefined) throw new UsageError('registry needs --topology and nothing else', 'See npm run extract -- registry --help.');
    const modules = (await discoverModules()).map(({ contract }) => contract.name);
    const { registry, name } = await readTopology(String(values['topology']), modules);
    if (!registry) throw new UsageError(`the topology ${name} has no registry`, 'Give it one: registry with its port, and discovery: registry.');
    const checked = checkSettings({ kernel: kernelSettings, service: serviceSettings }, { PORT: String(registry.port), HOST: registry.host, ...process.env });
    for (const sentence of checked.problems) process.stderr.write(`${sentence}\n`);
    if (checked.problems.length > 0) return EXIT_USAGE;
    await Life.run(async (life) => start(life, checked.values['kernel'] as KernelSettings, checked.values['service'] as ServiceSettings));
    return undefined;
  },
};

async function start(life: Life, settings: KernelSettings, { SERVICE_SECRET }: ServiceSettings): Promise<void> {
  const secret = await serviceSecret(SERVICE_SECRET, { production: settings.NODE_ENV === 'production', dataDir: resolve(projectRoot, settings.DATA_DIR) });
  const server = await createRegistry({ tokens: new ServiceTokens(secret), log: openLog(settings).child({ service: 'registry' }) });
  life.onEnd(() => server.close());
  const { HOST: host, PORT: port } = settings;
  const url = await listen(server, { host, port });
  tellParent({ public: url });
  say(`the registry is up: ${url}`);
}

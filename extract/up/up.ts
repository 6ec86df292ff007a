/** `up`: a whole topology on this machine, under supervision. */
import { availableParallelism } from 'node:os';
import { discoverModules } from '../../src/host/discover.ts';
import { announce } from '../../src/keep.ts';
import { Life } from '../../src/life.ts';
import type { AnyModule } from '../../src/module.ts';
import { type Command, EXIT_USAGE, readArguments, UsageError } from '../command.ts';
import { readTopology } from '../topology/read-topology.ts';
import type { Topology } from '../topology/topology.ts';
import { administratorOf } from './administrator.ts';
import { openDatabase } from './database.ts';
import { environment, needsServer, readSettings, type UpSettings } from './environment.ts';
import { planOf } from './plan.ts';
import { requireFreePorts } from './ports.ts';
import { report, summary } from './report.ts';
import { Supervisor } from './supervisor.ts';

const HELP = `npm run extract -- up [--topology NAME|FILE] [--logs] [--json]

Starts all services of a topology on this machine, each as a process of its own, with the gateway in front and the registry where
there is one. Waits until all are ready, shows where they are, and starts again what ends by itself. Ctrl-C stops all in order.

  --topology NAME|FILE  default: microservices
  --logs                shows all that the processes say; without it warnings and worse
  --json                one line of JSON on standard output once all are ready; all else goes to standard error

Settings are environment variables, as for npm start and serve; all processes get them. Where they listen is the topology's to say.
The administrator is that of ADMIN_USERNAME and ADMIN_PASSWORD, else the one in DATA_DIR, where npm run demo finds it, too.

Exit codes: 0 after a signal, 1 where it cannot start, 2 for arguments or settings that make no sense.
`;

const options = { topology: { type: 'string' }, logs: { type: 'boolean' }, json: { type: 'boolean' } } as const;

/** A smaller nursery than npm start's: 15 MB less for each of a dozen processes that have little to do each (decision 0023). */
const FLAGS = ['--max-semi-space-size=2'];
/** Beyond the time to drain: for the database connections, and what is measured or traced. */
const ENDING_MS = 5_000;

export const command: Command = {
  name: 'up',
  summary: 'Starts a whole topology on this machine, and keeps it running.',
  help: HELP,
  async run(args) {
    const { values, positionals } = readArguments(args, options, 'up');
    if (positionals.length > 0) throw new UsageError(`up takes no ${positionals[0]}`, 'Name the topology with --topology.');
    const modules = await discoverModules();
    const label = String(values['topology'] ?? 'microservices');
    const topology = await readTopology(label, modules.map(({ contract }) => contract.name));
    const read = readSettings(modules, process.env);
    if (!read) return EXIT_USAGE;
    await Life.run(async (life) => up(life, read, { topology, label, modules, logs: values['logs'] === true, json: values['json'] === true }));
    return undefined;
  },
};

interface UpOptions {
  readonly topology: Topology;
  /** As it was named. */
  readonly label: string;
  readonly modules: readonly AnyModule[];
  readonly logs: boolean;
  readonly json: boolean;
}

async function up(life: Life, read: UpSettings, { topology, label, modules, logs, json }: UpOptions): Promise<void> {
  const say = (line: string): void => void (json ? process.stderr : process.stdout).write(`${line}\n`);
  const plans = planOf(topology, modules);
  const patienceMs = read.kernel.SHUTDOWN_NOTICE_MS + read.kernel.SHUTDOWN_TIMEOUT_MS + ENDING_MS;
  life.allowToDrain(patienceMs * new Set(plans.map(({ wave }) => wave)).size);
  await requireFreePorts(plans);
  const connections = needsServer(topology, read) ? await openDatabase(life, read.kernel.DATABASE_URL, { dataDir: read.dataDir, log: say }) : undefined;
  const administrator = await administratorOf(process.env, read);
  if (life.isEnding) return;
  const env = await environment(read, { plans, connections, administrator, logs });
  const supervisor = new Supervisor(plans, { args: ['--topology', label], env, flags: FLAGS, atOnce: availableParallelism(), patienceMs, logs, say });
  life.onEnd(() => supervisor.stop());
  process.on('exit', () => supervisor.kill());
  await Promise.race([supervisor.start(() => life.isEnding), aborted(life.ending)]);
  if (life.isEnding) return;
  await administrator?.keep();
  const found = report(topology, supervisor);
  const { NODE_ENV, DATABASE_URL } = read.kernel;
  const withdraw = NODE_ENV === 'production' ? undefined : await announce(read.dataDir, found.url, DATABASE_URL);
  if (withdraw) life.onEnd(withdraw);
  if (json) process.stdout.write(`${JSON.stringify(found)}\n`);
  else say(summary(found, administrator));
}

async function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

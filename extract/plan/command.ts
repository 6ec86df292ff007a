/** `plan <module>…`: says what leaving means, before anything is moved. */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { discoverModules, projectRoot } from '../../src/host/discover.ts';
import { StartError } from '../../src/settings/start-error.ts';
import { type Command, readArguments, requireModules, UsageError } from '../command.ts';
import { planFor } from './plan.ts';
import { report } from './report.ts';
import { readShop } from './shop.ts';
import { databaseOf, measure, type Measured } from './sizes.ts';
import { readTraffic, type Traffic } from './traffic.ts';

const HELP = `npm run extract -- plan <module>… [--metrics URL[,URL…]] [--json]

Says what it means that the named modules leave for a service of their own: calls that become remote, events, tables, what stops
working while they are down, and what has to be mended first. Several modules leave together: what they call of each other stays local.
Nothing is changed.

  --metrics URL  /metrics of a shop that runs; several with commas between are added up. Without it the shop is asked that
                 runs on DATA_DIR, if one does
  --json         for scripts; docs/guides tell of the shape

Settings are environment variables:

  <MODULE>_DATABASE_URL, DATABASE_URL   where the sizes of tables are read; else in the embedded database, where it runs
  DATA_DIR                              of the shop that runs here (default: .data)

Exit codes: 0, also where something has to be mended first; 1 where a shop that is named does not answer; 2 for arguments that make no sense.
`;

const options = { metrics: { type: 'string' }, json: { type: 'boolean' } } as const;

export const command: Command = {
  name: 'plan',
  summary: 'Says what it means that modules leave.',
  help: HELP,
  async run(args) {
    const { values, positionals } = readArguments(args, options, 'plan');
    const known = (await discoverModules()).map(({ contract }) => contract.name);
    if (positionals.length === 0) throw new UsageError('plan needs the modules that shall leave', `There are ${known.join(', ')}.`);
    requireModules(positionals, known);
    const modules = [...new Set(positionals)];
    const traffic = await trafficOf(values['metrics'] as string | undefined).catch(explained);
    if (traffic === NOT_THERE) return 1;
    const sizes = new Map(await Promise.all(modules.map(async (module) => [module, await sizesOf(module)] as const)));
    const plan = planFor(await readShop(projectRoot), modules, { traffic, sizes });
    process.stdout.write(values['json'] ? `${JSON.stringify(plan, undefined, 2)}\n` : report(plan));
    return 0;
  },
};

/** A shop that was not named may be gone: its traffic is left out. */
async function trafficOf(named: string | undefined): Promise<Traffic | undefined> {
  if (named !== undefined) return readTraffic(named.split(',').map(requireUrl));
  const url = await runningShop();
  return url === undefined ? undefined : readTraffic([`${url}/metrics`]).catch(() => undefined);
}

const NOT_THERE = 'not there';

function explained(error: unknown): typeof NOT_THERE {
  if (!(error instanceof StartError) || error instanceof UsageError) throw error;
  process.stderr.write(`${error.message}.\n${error.remedy}\n`);
  return NOT_THERE;
}

function requireUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) throw new UsageError(`--metrics is ${JSON.stringify(text)}, but must be an http or https URL`, 'Name a /metrics, e.g. http://127.0.0.1:8080/metrics.');
  return url.href;
}

async function runningShop(): Promise<string | undefined> {
  try {
    const file = join(resolve(projectRoot, process.env['DATA_DIR'] || '.data'), 'running.json');
    return (JSON.parse(await readFile(file, 'utf8')) as { url?: string }).url;
  } catch {
    return undefined;
  }
}

async function sizesOf(module: string): Promise<Measured | string> {
  const url = databaseOf(module, process.env);
  if (url === undefined) return 'no database runs here; DATABASE_URL names one';
  try {
    const measured = await measure(url, module);
    return measured.tables.length > 0 ? measured : `the database holds nothing of ${module}`;
  } catch (error) {
    return `the database cannot be asked: ${(error as Error).message || 'it does not answer'}`;
  }
}

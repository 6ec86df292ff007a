/**
 * The shop for one comparison: what publishing costs a checkout. Nobody handles events here and nobody moves sagas, since the
 * benchmark owns all modules; with `EVENTS=unpublished` orders are taken without writing the event that tells of them.
 */
import { discoverModules } from '../../src/host/discover.ts';
import { startHost } from '../../src/host/host.ts';
import { createLog } from '../../src/log/log.ts';
import type { AnyModule } from '../../src/module.ts';
import { checkSettings, kernelSettings, type KernelSettings } from '../../src/settings/settings.ts';

const modules = await discoverModules();
const { values } = checkSettings(schemasOf(modules), process.env);
const settings = values['kernel'] as KernelSettings;
const host = await startHost({ modules, adminUrl: settings.DATABASE_URL!, settings, moduleSettings: values, log: createLog(settings.LOG_LEVEL) });
if (process.env['EVENTS'] === 'unpublished') host.module('orders').db.publishTo({ check: () => undefined, write: async () => undefined, committed: () => undefined });
process.once('SIGTERM', () => void host.stop().then(() => process.exit(0)));
process.stdout.write(`${host.url}\n`);

function schemasOf(all: readonly AnyModule[]) {
  return { kernel: kernelSettings, ...Object.fromEntries(all.map((module) => [module.contract.name, module.settings])) };
}

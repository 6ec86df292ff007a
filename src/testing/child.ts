/**
 * A process of the shop that a test may kill. Started by `child-process.ts`, which tells it by message what to
 * run; dies by SIGKILL of its own hand at the point that it was given.
 */
import { discoverModules } from '../host/discover.ts';
import { startHost } from '../host/host.ts';
import { createLog } from '../log/log.ts';
import { checkSettings } from '../settings/check-settings.ts';
import { type KernelSettings, kernelSettings } from '../settings/kernel-settings.ts';
import type { ChildOrder } from './child-process.ts';
import { TEST_ROLE_PREFIX } from './database.ts';

// Loaded before the order comes, which waits until somebody listens.
const modules = await discoverModules();
process.once('message', (order: ChildOrder) => void run(order));

async function run({ adminUrl, env, dieAt, migrations, wire }: ChildOrder): Promise<void> {
  const checked = checkSettings({ kernel: kernelSettings, ...Object.fromEntries(modules.map((module) => [module.contract.name, module.settings])) }, env);
  if (checked.problems.length > 0) throw new Error(checked.problems.join('\n'));
  const settings = { ...(checked.values['kernel'] as KernelSettings), DATABASE_ROLE_PREFIX: TEST_ROLE_PREFIX };
  const host = await startHost({
    modules,
    adminUrl,
    settings,
    moduleSettings: checked.values,
    log: createLog(settings.LOG_LEVEL),
    wire,
    ...(migrations !== undefined && { migrations }),
    ...(dieAt !== undefined && { probe: (point: string) => (point === dieAt ? dieNow() : undefined) }),
  });
  process.send!({ url: host.url });
  process.once('SIGTERM', () => void host.stop().then(() => process.exit(0)));
}

function dieNow(): Promise<never> {
  process.kill(process.pid, 'SIGKILL');
  return new Promise(() => undefined);
}

/**
 * A process of the shop that a test may kill. Started by `child-process.ts`, which tells it by message what to
 * run; dies by SIGKILL of its own hand when it has come to the points that it was given.
 */
import { discoverModules } from '../host/discover.ts';
import { startHost } from '../host/host.ts';
import type { Probe } from '../host/probe.ts';
import { createLog } from '../log/log.ts';
import { checkSettings } from '../settings/check-settings.ts';
import { type KernelSettings, kernelSettings } from '../settings/kernel-settings.ts';
import type { ChildOrder } from './child-process.ts';
import { TEST_ROLE_PREFIX } from './database.ts';

// Whoever started it has died: nobody would end it, and tap waits for whoever holds its output.
process.once('disconnect', () => process.exit(1));

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
    ...(dieAt && { probe: deathAt(dieAt) }),
  });
  process.send!({ url: host.url });
  process.once('SIGTERM', () => void host.stop().then(() => process.exit(0)));
}

/** To the database, and to the rest of the shop, somebody who stands still at a point looks like one who died there. */
function deathAt(points: readonly string[]): Probe {
  const ahead = new Set(points);
  return (point) => {
    if (!ahead.delete(point)) return undefined;
    if (ahead.size === 0) process.kill(process.pid, 'SIGKILL');
    else process.send!({ reached: point });
    return new Promise<never>(() => undefined);
  };
}

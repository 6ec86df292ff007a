/** A shop that tells its parent process when an order's event has been handled, and when its fulfilment waits for the payment. */
import { discoverModules } from '../../src/host/discover.ts';
import { startHost } from '../../src/host/host.ts';
import { createLog } from '../../src/log/log.ts';
import { checkSettings, kernelSettings, type KernelSettings } from '../../src/settings/settings.ts';

/** What happened, by the clock of all processes of this machine, in epoch milliseconds with fractions. */
export interface Happened {
  readonly what: 'handled' | 'waiting';
  readonly at: number;
}

const points: Readonly<Record<string, Happened['what']>> = {
  'event:notifications.customer-messages:orders.order-placed.v1:committed': 'handled',
  'saga:fulfilment:open:settled': 'waiting',
};

const modules = await discoverModules();
const { values, problems } = checkSettings({ kernel: kernelSettings, ...Object.fromEntries(modules.map((module) => [module.contract.name, module.settings])) }, process.env);
if (problems.length > 0) throw new Error(problems.join('\n'));
const settings = values['kernel'] as KernelSettings;
const host = await startHost({
  modules,
  adminUrl: settings.DATABASE_URL!,
  settings,
  moduleSettings: values,
  log: createLog(settings.LOG_LEVEL),
  probe: (point) => tell(points[point]),
});
process.stdout.write(`The shop listens on ${host.url}\n`);
process.once('SIGTERM', () => void host.stop().then(() => process.exit(0)));

function tell(what: Happened['what'] | undefined): void {
  if (what) process.send!({ what, at: performance.timeOrigin + performance.now() } satisfies Happened);
}

/**
 * A shop's process that hosts the modules that HOSTED names, and tells its parent when an order's event has been handled here. It tells
 * where its modules are, and is told where the others are.
 */
import { discoverModules } from '../../src/host/discover.ts';
import { startHost } from '../../src/host/host.ts';
import { served } from '../../src/host/served.ts';
import { createLog } from '../../src/log/log.ts';
import { checkSettings, kernelSettings, type KernelSettings } from '../../src/settings/settings.ts';
import { createInternalServer } from '../../src/wire/internal-server.ts';
import { wirePeers } from '../../src/wire/peers.ts';
import { ServiceTokens } from '../../src/wire/service-tokens.ts';
import type { Happened } from './probed-shop.ts';

export interface Placed {
  readonly what: 'placed';
  readonly hosted: readonly string[];
  readonly origin: string;
}

const POINT = 'event:notifications.customer-messages:orders.order-placed.v1:committed';

const hosted = process.env['HOSTED']!.split(',');
const modules = await discoverModules();
const { values, problems } = checkSettings({ kernel: kernelSettings, ...Object.fromEntries(modules.map((module) => [module.contract.name, module.settings])) }, process.env);
if (problems.length > 0) throw new Error(problems.join('\n'));
const settings = values['kernel'] as KernelSettings;
const log = createLog(settings.LOG_LEVEL);
const origins: Record<string, string[]> = {};
const discovery = { originsOf: (module: string) => origins[module] ?? [], close: async () => undefined };
process.on('message', (message: string) => void (message.startsWith('{') && Object.assign(origins, JSON.parse(message))));

const tokens = new ServiceTokens(process.env['SERVICE_SECRET']!);
const host = await startHost({
  modules,
  hosted,
  peers: wirePeers({ discovery, tokens, handlerTimeoutMs: settings.EVENT_HANDLER_TIMEOUT_MS }),
  adminUrl: settings.DATABASE_URL!,
  settings,
  moduleSettings: values,
  log,
  probe: (point) => void (point === POINT && process.send!({ what: 'handled', at: performance.timeOrigin + performance.now() } satisfies Happened)),
});
const internal = await createInternalServer({ modules: served(host, modules), tokens, log });
const origin = await internal.listen({ host: '127.0.0.1', port: 0 });
process.stdout.write(`The part listens on ${host.url}\n`);
process.send!({ what: 'placed', hosted, origin } satisfies Placed);
process.once('SIGTERM', () => void internal.close().then(async () => host.stop()).then(() => process.exit(0)));

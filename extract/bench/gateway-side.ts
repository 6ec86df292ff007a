/** The gateway in front of one service that has all modules, for the benchmark: UPSTREAM is its origin. */
import { randomBytes } from 'node:crypto';
import { discoverModules } from '../../src/host/discover.ts';
import { createLog } from '../../src/log/log.ts';
import { checkSettings, kernelSettings, type KernelSettings } from '../../src/settings/settings.ts';
import { staticDiscovery } from '../../src/wire/discovery.ts';
import { ServiceTokens } from '../../src/wire/service-tokens.ts';
import { startGateway } from '../gateway/gateway.ts';
import { type GatewaySettings, gatewaySettings } from '../gateway/gateway-settings.ts';

const modules = await discoverModules();
const { values, problems } = checkSettings({ kernel: kernelSettings, gateway: gatewaySettings }, process.env);
if (problems.length > 0) throw new Error(problems.join('\n'));
const settings = { ...values['kernel'], ...values['gateway'] } as KernelSettings & GatewaySettings;
const everywhere = staticDiscovery(Object.fromEntries(modules.map(({ contract }) => [contract.name, [process.env['UPSTREAM']!]])));
const tokens = new ServiceTokens(randomBytes(32).toString('hex'));
const gateway = await startGateway({ modules, publicly: everywhere, internally: everywhere, tokens, settings, log: createLog(settings.LOG_LEVEL) });
process.stdout.write(`The gateway listens on ${gateway.url}\n`);
process.once('SIGTERM', () => void gateway.stop().then(() => process.exit(0)));

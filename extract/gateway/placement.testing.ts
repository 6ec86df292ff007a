/**
 * The shop of a test as services: each module in one of its own with its own database, behind the gateway. Named by CLEAVE_PLACEMENT, it
 * lets every test that asks for a whole shop run against services without a change. CLEAVE_REPLICAS: of each of them; default: 1.
 */
import { discoverModules, type Place } from '#testing';
import { servicesBehindGateway } from './services.testing.ts';

export const place: Place = async (t, { settings, probe, tracing }) => {
  const modules = (await discoverModules()).map(({ contract }) => contract.name);
  return servicesBehindGateway(t, { services: modules.map((module) => [module]), replicas: Number(process.env['CLEAVE_REPLICAS'] ?? 1), ...(settings && { settings }), ...(probe && { probe }), tracing });
};

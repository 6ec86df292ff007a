/** `npm run torture -- blast`: every service in every way, the monolith beside it, and the page that tells of both. */
import { discoverModules } from '../../src/host/discover.ts';
import { onDatabaseOfItsOwn } from '../torture/places.testing.ts';
import type { Result } from '../torture/result.testing.ts';
import { blast, type Case } from './blast.testing.ts';
import { writePage } from './page.testing.ts';

interface Options {
  readonly seed: number;
  progress(line: string): void;
}

export async function everyBlast({ seed, progress }: Options): Promise<Result> {
  const modules = (await discoverModules()).map(({ contract }) => contract.name);
  const cases = modules.flatMap((service): Case[] => [{ service, fault: 'killed' }, { service, fault: 'hung' }, { service, fault: 'slow' }]);
  const apart = await onDatabaseOfItsOwn('blast', async (place) => blast({ ...place, services: Object.fromEntries(modules.map((module) => [module, [module]])), cases, seed, progress }));
  const one = await onDatabaseOfItsOwn('blast', async (place) => blast({ ...place, services: { shop: modules }, cases: [{ service: 'shop', fault: 'crash' }, { service: 'shop', fault: 'block' }], seed, progress }));
  await writePage({ apart: apart.reaches, one: one.reaches });
  return { findings: [...apart.findings, ...one.findings.map(({ claim, violations }) => ({ claim: `one process: ${claim}`, violations }))], figures: [...apart.figures, ...one.figures] };
}

/** Looks before anything is started whether the addresses of a topology are free. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { StartError } from '../../src/settings/start-error.ts';
import type { ProcessPlan } from './plan.ts';

/** @throws StartError with all that are in use, and who needs them */
export async function requireFreePorts(plans: readonly ProcessPlan[]): Promise<void> {
  const wanted = plans.flatMap(({ name, host, port, internalPort }) => [port, internalPort ?? 0].filter((each) => each !== 0).map((each) => ({ name, host, port: each })));
  const found = await Promise.all(wanted.map(async (address) => ({ ...address, code: await refusal(address) })));
  const taken = found.filter(({ code }) => code === 'EADDRINUSE');
  const foreign = found.filter(({ code }) => code !== undefined && code !== 'EADDRINUSE');
  const sentences = [...taken.map(({ host, port, name }) => `port ${port} on ${host} is in use, and ${name} needs it`), ...foreign.map(({ host, port, name, code }) => `${name} cannot listen on port ${port} of ${host} (${code})`)];
  if (sentences.length > 0) throw new StartError(sentences.join('; '), 'Stop what listens there, or give the topology other addresses.');
}

/** @returns the code of what stands in the way */
async function refusal({ host, port }: { host: string; port: number }): Promise<string | undefined> {
  const server = createServer();
  try {
    server.listen(port, host);
    await once(server, 'listening');
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  } finally {
    if (server.listening) await new Promise((resolve) => void server.close(resolve));
  }
}

/** Opens a listener, and says it in a sentence where somebody else has the port. */
import type { FastifyInstance } from 'fastify';
import { StartError } from '../settings/start-error.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/**
 * @param variable the setting that names the port
 * @returns where it listens, as a URL
 * @throws StartError when the port is in use
 */
export async function listen(app: FastifyInstance, { host, port }: Address, variable = 'PORT'): Promise<string> {
  try {
    return await app.listen({ host, port });
  } catch (error) {
    if ((error as { code?: string }).code !== 'EADDRINUSE') throw error;
    throw new StartError(`port ${port} on ${host} is in use`, `Stop what listens there, or choose another port with ${variable}.`);
  }
}

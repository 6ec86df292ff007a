/** A question of the gateway's own to a replica, over its public listener. */
import type { Replica } from '../../src/wire/replicas.ts';

/** @throws Error where the replica does not answer 200 with JSON in time */
export async function askService<Answer>(replica: Replica, path: string, timeoutMs: number): Promise<Answer> {
  const { statusCode, body } = await replica.pool.request({ method: 'GET', path, signal: AbortSignal.timeout(timeoutMs) });
  if (statusCode === 200) return (await body.json()) as Answer;
  await body.dump();
  throw new Error(`${replica.origin}${path} answered ${statusCode}`);
}

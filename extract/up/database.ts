/** The database server that services share, as `up` uses it: first to be there, last to leave. */
import pg from 'pg';
import { startEmbedded } from '../../src/database/embedded/embedded.ts';
import type { Life } from '../../src/life.ts';
import { StartError } from '../../src/settings/start-error.ts';

const ANSWER_MS = 10_000;

/**
 * Starts the embedded server where none is given; services then find it running, and it stops with the last who uses it.
 * @returns how many connections it takes
 */
export async function openDatabase(life: Life, given: string | undefined, { dataDir, log }: { dataDir: string; log: (line: string) => void }): Promise<number> {
  if (given !== undefined) return connectionsOf(given);
  const embedded = await startEmbedded({ dataDir, log, keepRunning: true });
  life.onEnd(() => embedded.stop());
  if (embedded.adopted) log('The database was running already and is used as it is.');
  return connectionsOf(embedded.url);
}

/** @throws StartError where it cannot be reached */
async function connectionsOf(url: string): Promise<number> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: ANSWER_MS, query_timeout: ANSWER_MS, application_name: 'cleave:up' });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ max: number }>(`select current_setting('max_connections')::int as max`);
    return rows[0]!.max;
  } catch (error) {
    const { hostname, port } = new URL(url);
    throw new StartError(`the database at ${hostname}:${port || 5432} cannot be reached: ${(error as Error).message}`, 'Start it, or mend DATABASE_URL; without DATABASE_URL the services share one that comes along.');
  } finally {
    await client.end().catch(() => undefined);
  }
}

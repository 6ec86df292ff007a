/** Something that only one process of a deployment does at a time. */
import pg from 'pg';
import { takeLock } from '../database/advisory-lock.ts';
import { StartError } from '../settings/start-error.ts';

const PATIENCE_MS = 120_000;

/**
 * Does the work while it holds a lock of the database, which ends with the process.
 * @throws StartError where another process has held it for two minutes
 */
export async function alone(url: string, lock: string, work: () => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: url, application_name: 'cleave:alone', connectionTimeoutMillis: 10_000, query_timeout: 10_000 });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await takeLock(client, lock, (waitedMs) => {
      if (waitedMs > PATIENCE_MS) throw new StartError(`another process has held the lock ${lock} for ${PATIENCE_MS / 1_000} s`, 'End it if it hangs, and start again.');
    });
    await work();
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Something that only one process of a deployment does at a time. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { StartError } from '../settings/start-error.ts';

const RETRY_MS = 50;
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
    await take(client, lock);
    await work();
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Asks again and again: a statement that waits holds a snapshot, for which `create index concurrently` waits. */
async function take(client: pg.Client, lock: string): Promise<void> {
  for (const givenUpAt = performance.now() + PATIENCE_MS; ; await sleep(RETRY_MS)) {
    const { rows } = await client.query<{ taken: boolean }>('select pg_try_advisory_lock(hashtextextended($1, 0)) as taken', [lock]);
    if (rows[0]!.taken) return;
    if (performance.now() > givenUpAt) throw new StartError(`another process has held the lock ${lock} for ${PATIENCE_MS / 1_000} s`, 'End it if it hangs, and start again.');
  }
}

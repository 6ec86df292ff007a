/** A lock of the database that ends with its connection, for what only one process of a deployment does at a time. */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';

const RETRY_MS = 50;

/**
 * Asks again and again instead of waiting in the server: a statement that waits holds a snapshot, and for old snapshots
 * `create index concurrently` waits in the process that has the lock, which then wait for each other.
 * @param refused is told after each refusal how long it has been, in ms; what it throws ends the wait
 */
export async function takeLock(client: pg.Client, name: string, refused: (waitedMs: number) => void): Promise<void> {
  for (const began = performance.now(); ; await sleep(RETRY_MS)) {
    const { rows } = await client.query<{ taken: boolean }>('select pg_try_advisory_lock(hashtextextended($1, 0)) as taken', [name]);
    if (rows[0]!.taken) return;
    refused(performance.now() - began);
  }
}

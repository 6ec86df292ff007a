/**
 * Locks between processes on one machine that the kernel frees when their holder dies, however it dies.
 * Node has no flock; SQLite, which it carries, locks its files that way on every platform. Files with process
 * ids were rejected: an id may be reused, and two who find a stale file can both take it over.
 */
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';

export type LockMode = 'shared' | 'exclusive';

export interface FileLock {
  release(): void;
}

const SQLITE_BUSY = 5;
const POLL_MS = 20;

/** Takes the lock or answers undefined when others hold it in a way that excludes this mode. */
export function tryLock(path: string, mode: LockMode): FileLock | undefined {
  const database = new DatabaseSync(path);
  try {
    database.exec('pragma busy_timeout = 0');
    database.exec(mode === 'exclusive' ? 'begin exclusive' : 'begin; select count(*) from sqlite_schema');
    return { release: () => database.close() };
  } catch (error) {
    database.close();
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return undefined;
    throw error;
  }
}

/** Waits for the lock; undefined when it is not to be had within `timeoutMs`. */
export async function lock(path: string, mode: LockMode, timeoutMs: number): Promise<FileLock | undefined> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const held = tryLock(path, mode);
    if (held || Date.now() > deadline) return held;
    await sleep(POLL_MS);
  }
}

/**
 * Where the embedded server of the tests keeps its databases: in memory where the system offers enough of it as a
 * folder, else under `.data/`. They are thrown away anyway, and on a slow disk the clone of the template that each
 * file begins with takes 300 ms instead of 40.
 */
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, rmSync, statfsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { tryLock } from '../database/embedded/file-lock.ts';
import { projectRoot } from '../host/discover.ts';

/** Linux keeps what lies here in memory. Containers have 64 MB of it as a rule. */
const MEMORY = '/dev/shm';
/** Bytes; a run takes about a quarter of it. The whole size is looked at, so that all processes of a run agree. */
const ENOUGH = 4 * 2 ** 30;

/** One per user and checkout. */
export function serverFolder(): string {
  return isRoomy() ? inMemory() : join(projectRoot, '.data', 'test');
}

/** Gives the memory back, unless a server runs in it for somebody else. */
export function clearServerFolder(): void {
  const folder = inMemory();
  if (!existsSync(folder)) return;
  const alone = tryLock(join(folder, 'postgres.users'), 'exclusive');
  if (!alone) return;
  try {
    rmSync(folder, { recursive: true });
  } finally {
    alone.release();
  }
}

function inMemory(): string {
  return join(MEMORY, `cleave-test-${userInfo().uid}-${createHash('sha256').update(projectRoot).digest('hex').slice(0, 12)}`);
}

function isRoomy(): boolean {
  try {
    accessSync(MEMORY, constants.W_OK);
    const { blocks, bsize } = statfsSync(MEMORY);
    return blocks * bsize >= ENOUGH;
  } catch {
    return false;
  }
}

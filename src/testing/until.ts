/** For tests: waits for what is to come true, instead of for a time. */
import { setTimeout as sleep } from 'node:timers/promises';

/** What takes long is looked for less often: looking takes time from what is waited for. */
const LEAST_PAUSE_MS = 5;
const MOST_PAUSE_MS = 50;

/** Looks again, less and less often, until `check` answers something truthy, and answers that. */
export async function until<T>(check: () => Promise<T | undefined | null | false | 0 | ''> | T | undefined | null | false | 0 | '', what: string, timeoutMs = 10_000): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (let pauseMs = LEAST_PAUSE_MS; ; pauseMs = Math.min(MOST_PAUSE_MS, pauseMs * 1.5)) {
    const last: unknown = await check();
    if (last) return last as T;
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms for ${what}; the last look answered ${JSON.stringify(last)}`);
    await sleep(pauseMs);
  }
}

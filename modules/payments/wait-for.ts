/** Waiting for something that is about to happen, without holding a connection meanwhile. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Call } from '#kernel';

const FIRST_PAUSE_MS = 25;
const LONGEST_PAUSE_MS = 100;

/**
 * Looks again and again until `look` says true or the time is up.
 * @param until epoch milliseconds
 * @returns whether it happened
 * @throws CallError when the caller has gone
 */
export async function waitFor(look: () => Promise<boolean>, until: number, call: Call): Promise<boolean> {
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 1.5, LONGEST_PAUSE_MS)) {
    call.throwIfOver();
    if (await look()) return true;
    if (Date.now() + pause > until) return false;
    await sleep(pause);
  }
}

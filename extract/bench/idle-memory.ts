/** What a shop uses that nobody asks anything. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Side } from './side.ts';

export interface Idle {
  /** Resident memory in MiB, as it is after IDLE_S: nothing is collected for it. */
  readonly residentMiB: number;
  /** Part of one core, in percent. */
  readonly cpuPercent: number;
}

const IDLE_S = 20;
const MEBIBYTE = 2 ** 20;

/** The shop's own process; its database is another one. */
export async function idleUsage(side: Side): Promise<Idle> {
  // What start-up leaves to the first seconds is not idling.
  await sleep(IDLE_S * 250);
  const before = await side.usage();
  const startedAt = performance.now();
  await sleep(IDLE_S * 750);
  const after = await side.usage();
  const cpuPercent = (after.cpuUs - before.cpuUs) / (performance.now() - startedAt) / 10;
  return { residentMiB: after.residentBytes / MEBIBYTE, cpuPercent };
}

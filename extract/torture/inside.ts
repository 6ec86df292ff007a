/** Loaded before the code of a shop under torture: tells what the process holds, and ends it when its torturer is gone. */
import { readdirSync } from 'node:fs';

export interface Inside {
  readonly residentBytes: number;
  readonly heapBytes: number;
  /** Timers, sockets and what else keeps an event loop alive. */
  readonly resources: number;
  /** Open files and sockets, where the system tells; else 0. */
  readonly descriptors: number;
}

process.on('message', (question) => {
  if (question !== 'inside') return;
  const { rss, heapUsed } = process.memoryUsage();
  process.send!({ residentBytes: rss, heapBytes: heapUsed, resources: process.getActiveResourcesInfo().length, descriptors: descriptors() } satisfies Inside);
});
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));

function descriptors(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return 0;
  }
}

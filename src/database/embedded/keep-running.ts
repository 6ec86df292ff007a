/**
 * Brings the embedded server back when it dies under a living shop: killed by hand, by the system for want of memory, or
 * stopped by somebody who did not know whose it is. Nobody else would, because it is no child of init's or Docker's.
 *
 *   watching --its process is gone--> restarting --it serves again--> watching
 *   restarting --it does not start--> waiting (a pause that doubles) --> restarting
 *   any --stop--> stopped, once a restart in hand has ended
 */
import { setTimeout as sleep } from 'node:timers/promises';

export interface KeptServer {
  /** Cheap: asked several times a second. */
  isAlive(): boolean;
  /** Resolves once it accepts connections where it did before. */
  restart(): Promise<void>;
  /** Lines for the person at the terminal. */
  log(line: string): void;
}

export interface Keeper {
  /** Resolves when nothing will be started any more. */
  stop(): Promise<void>;
}

/** Short beside the second or two that a start with recovery takes. */
const LOOK_EVERY_MS = 200;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;

export function keepRunning(server: KeptServer): Keeper {
  const stopping = new AbortController();
  const watching = watch(server, stopping.signal);
  return {
    async stop() {
      stopping.abort();
      await watching;
    },
  };
}

async function watch(server: KeptServer, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    if (!server.isAlive()) await bringBack(server, signal);
    await pause(LOOK_EVERY_MS, signal);
  }
}

async function bringBack(server: KeptServer, signal: AbortSignal): Promise<void> {
  const goneAt = performance.now();
  server.log('The database has died and is started again; until it is back, whoever needs it is told to come later.');
  for (let ms = FIRST_PAUSE_MS; !signal.aborted; ms = Math.min(2 * ms, LONGEST_PAUSE_MS)) {
    try {
      await server.restart();
      server.log(`The database is back after ${((performance.now() - goneAt) / 1_000).toFixed(1)} s.`);
      return;
    } catch (error) {
      server.log(`The database does not start: ${(error as Error).message}. It is tried again.`);
      await pause(ms, signal);
    }
  }
}

/** Does not keep the process alive, and ends at once when it is to be stopped. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal, ref: false }).catch(() => undefined);
}

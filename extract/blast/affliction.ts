/**
 * Loaded before the code of each process of a deployment whose parts are going to fail: SIGUSR2 makes this one read what it shall suffer
 * from the file that AFFLICTION names, and suffer it. What a signal can do by itself, kill and stop, needs nothing of this.
 */
import { readFileSync } from 'node:fs';
import { Server } from 'node:http';

export interface Affliction {
  /** Each request that comes in waits so long before anybody looks at it; 0 ends it. */
  readonly slowMs?: number;
  /** The event loop does nothing else for so long. */
  readonly blockMs?: number;
  /** An event handler lets an exception escape that nobody catches. */
  readonly crash?: true;
}

let slowMs = 0;

const emit = Server.prototype.emit as (this: Server, event: string | symbol, ...args: unknown[]) => boolean;
Server.prototype.emit = function (this: Server, event: string | symbol, ...args: unknown[]): boolean {
  if (event !== 'request' || slowMs === 0) return emit.call(this, event, ...args);
  setTimeout(() => emit.call(this, event, ...args), slowMs);
  return true;
};

process.on('SIGUSR2', () => {
  const affliction = JSON.parse(readFileSync(process.env['AFFLICTION']!, 'utf8')) as Affliction;
  slowMs = affliction.slowMs ?? slowMs;
  if (affliction.blockMs) block(affliction.blockMs);
  if (affliction.crash) {
    setImmediate(() => {
      throw new Error('an exception that nobody catches');
    });
  }
});

function block(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

/**
 * A command that another process has started with a channel to it (`up` does so) ends with that one, however that ended: the channel
 * closes when a process is killed, too.
 */

/** What a process tells whoever started it, once it is up. */
export interface Up {
  /** Origin of its public routes. */
  readonly public: string;
  /** Origin of its internal listener, where it has one. */
  readonly internal?: string;
}

/** For what hangs instead of ending. Draining is over by then, with the default settings. */
const PATIENCE_MS = 60_000;

/** Does nothing in a process that stands by itself. */
export function endWithParent(): void {
  if (!process.channel) return;
  process.once('disconnect', () => {
    // Nobody reads any longer what is said.
    for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
    process.kill(process.pid, 'SIGTERM');
    setTimeout(() => process.exit(1), PATIENCE_MS).unref();
  });
  process.channel.unref();
}

export function tellParent(up: Up): void {
  if (process.connected) process.send!({ up });
}

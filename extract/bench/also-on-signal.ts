/** What a command has begun on this machine is undone when it ends, and as well when it is ended: by Ctrl-C, a closed terminal or SIGTERM. */
import { constants } from 'node:os';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** @returns the same, done once however often it is called; a signal does it first and then ends the process */
export function alsoOnSignal(undo: () => Promise<void>): () => Promise<void> {
  let undone: Promise<void> | undefined;
  const once = (): Promise<void> => (undone ??= undo().finally(forget));
  const onSignal = (signal: (typeof SIGNALS)[number]): void => {
    const end = (): never => process.exit(128 + constants.signals[signal]);
    void once().then(end, (error: Error) => {
      process.stderr.write(`Something is left behind: ${error.message}\n`);
      end();
    });
  };
  const forget = (): void => SIGNALS.forEach((signal) => process.off(signal, onSignal));
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return once;
}

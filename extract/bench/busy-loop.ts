/**
 * A process that computes without end at the lowest priority there is, and touches no memory, lock or connection of anybody's: what
 * hardly differs from it is not the work that is done, but that a processor is busy at all.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

const PROGRAM = 'for (;;);';

/** @returns undefined where the system has no such priority */
export async function startBusyLoop(): Promise<{ stop(): Promise<void> } | undefined> {
  const child = spawn('chrt', ['-i', '0', process.execPath, '-e', PROGRAM], { stdio: 'ignore' });
  if (!(await hasStarted(child))) return undefined;
  const ended = once(child, 'exit');
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  return {
    async stop() {
      process.off('exit', kill);
      kill();
      await ended;
    },
  };
}

async function hasStarted(child: ChildProcess): Promise<boolean> {
  return once(child, 'spawn').then(
    () => true,
    () => false,
  );
}

/** A process under measurement: the shop as `npm start` runs it, or the yardstick. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { startCommand } from '../start-command.ts';
import type { Usage } from './usage.ts';

export interface SideOptions {
  readonly name: string;
  /** Its code, from the project's folder. */
  readonly script: string;
  readonly env: Readonly<Record<string, string>>;
  /** Folder for its CPU profile. */
  readonly profile?: string | undefined;
  /** Gets what the process tells of itself, other than its usage. */
  heard?(message: unknown): void;
}

export interface Side {
  readonly name: string;
  readonly url: string;
  usage(): Promise<Usage>;
  /** What comes back is for `heard`. */
  tell(message: string): void;
  /** Resolves when the process has ended. */
  stop(): Promise<void>;
}

/** Ends what is still running, after a failure. */
export async function stopSides(): Promise<void> {
  await Promise.all([...running].map(async (side) => side.stop()));
}

const running = new Set<Side>();
const project = join(import.meta.dirname, '..', '..');
const LISTENING = /http:\/\/127\.0\.0\.1:\d+/;

/** @returns once the process says where it listens */
export async function startSide({ name, script, env, profile, heard }: SideOptions): Promise<Side> {
  // The flags of `npm start`, on both sides.
  const execArgv = [...startCommand().flags, '--import', new URL('usage.ts', import.meta.url).href, ...(profile ? ['--cpu-prof', '--cpu-prof-dir', profile, '--cpu-prof-name', `${name}-${Date.now()}.cpuprofile`] : [])];
  // Nothing of this terminal's environment: a PORT or a LOG_LEVEL would change what is measured.
  const child = fork(join(project, script), { execArgv, env: { PATH: process.env['PATH'], ...env }, stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  const ended = once(child, 'exit');
  if (heard) child.on('message', heard);
  const url = await Promise.race([listening(child), ended.then(([code, signal]) => Promise.reject(new Error(`${name} ended with ${signal ?? code} before it listened`)))]);
  const side: Side = {
    name,
    url,
    async usage() {
      child.send('usage');
      const [usage] = (await once(child, 'message')) as [Usage];
      return usage;
    },
    tell: (message) => void child.send(message),
    async stop() {
      running.delete(side);
      child.kill('SIGTERM');
      await ended;
    },
  };
  running.add(side);
  return side;
}

/** Reads on to the end: whatever the process logs while it is measured must be seen. */
function listening(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const url = LISTENING.exec(line)?.[0];
      if (url) resolve(url);
      if (line.startsWith('{')) process.stderr.write(`${line}\n`);
    });
  });
}

/** Starts shops in processes of their own, so that they can be killed. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { testEnvironment, wireAsked } from './environment.ts';
import type { TestScope } from './scope.ts';

export interface ChildOrder {
  readonly adminUrl: string;
  readonly env: Record<string, string>;
  /**
   * Points (see `src/host/probe.ts`): whoever comes to one first goes no further, and when there is somebody at each of them the process
   * kills itself.
   */
  readonly dieAt?: readonly string[] | undefined;
  readonly migrations?: string | undefined;
  /** Sends contract calls through JSON. */
  readonly wire: boolean;
}

export interface ShopProcess {
  /** Undefined when the process ended before it listened. */
  readonly url: string | undefined;
  readonly process: ChildProcess;
  /** Resolves with the signal or code when the process has ended. */
  readonly ended: Promise<string>;
  /** Aborted when it has ended. */
  readonly hasEnded: AbortSignal;
  kill(signal: NodeJS.Signals): Promise<string>;
}

export interface ShopStart {
  readonly adminUrl: string;
  readonly settings?: Record<string, string>;
  readonly dieAt?: readonly string[];
  /** Hears of each of these points that has been reached. */
  reached?(point: string): void;
  /** Folder of migrations; the project's own unless given. */
  readonly migrations?: string;
  /** Sends contract calls through JSON; default: as the environment variable CLEAVE_WIRE says. */
  readonly wire?: boolean;
}

/**
 * Shops in processes of their own, started one after the other. While one runs, the next process loads its code already,
 * which is most of a start; its shop begins when it is asked for.
 */
export function shopProcesses(t: TestScope): { start(options: ShopStart): Promise<ShopProcess> } {
  let spare = loadedProcess(t);
  return {
    async start(options) {
      const { child, ended } = spare;
      const over = new AbortController();
      void ended.then(() => over.abort());
      const url = Promise.race([listens(child, options), ended.then(() => undefined)]);
      child.send({ adminUrl: options.adminUrl, env: { ...testEnvironment, ...options.settings }, dieAt: options.dieAt, migrations: options.migrations, wire: options.wire ?? wireAsked() } satisfies ChildOrder);
      const listening = await url;
      spare = loadedProcess(t);
      return { url: listening, process: child, ended, hasEnded: over.signal, kill: async (signal) => (child.kill(signal), ended) };
    },
  };
}

/** Where it listens; points may be reached before it does. */
async function listens(child: ChildProcess, { reached }: ShopStart): Promise<string> {
  return new Promise((resolve) => child.on('message', (message: { url: string } | { reached: string }) => ('url' in message ? resolve(message.url) : reached?.(message.reached))));
}

function loadedProcess(t: TestScope): { child: ChildProcess; ended: Promise<string> } {
  const child = fork(join(import.meta.dirname, 'child.ts'), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const ended = once(child, 'exit').then(([code, signal]) => String(signal ?? code));
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await ended;
  });
  return { child, ended };
}

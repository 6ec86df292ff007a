/** `up` as a person starts it, on a topology and a database of the test's own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cloneDatabase, discoverModules, type TestScope, TEST_ROLE_PREFIX } from '#testing';
import { testEnvironment } from '../../src/testing/environment.ts';

/** Twenty processes take 15 s on a machine that has nothing else to do. */
const PATIENCE_MS = 300_000;

export interface Running {
  readonly process: ChildProcess;
  /** All that it said so far. */
  output(): string;
  /** Waits until it says so. @throws when it ends before, or says something else for too long */
  says(pattern: RegExp): Promise<RegExpExecArray>;
  /** Exit code, or signal. */
  readonly ended: Promise<string>;
}

export interface Place {
  /** A topology's file. */
  topology(text: string): Promise<string>;
  /** @param scope at whose end it is ended; the place's own unless told */
  up(args: readonly string[], env?: Readonly<Record<string, string>>, scope?: TestScope): Running;
  /** Name of a database that is migrated already. */
  readonly database: string;
}

/** All modules in one service that listens there. */
export async function oneService(port: number, more = ''): Promise<string> {
  const modules = (await discoverModules()).map(({ contract }) => contract.name);
  return `services:\n  shop:\n    modules: [${modules.join(', ')}]\n    port: ${port}\n${more}`;
}

export async function placeFor(t: TestScope): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'cleave-up-'));
  const database = await cloneDatabase();
  t.teardown(async () => {
    await database.drop();
    await rm(folder, { recursive: true, force: true });
  });
  const { PORT: _port, HOST: _host, ...settings } = testEnvironment;
  const common = { ...process.env, ...settings, DATABASE_URL: database.adminUrl, DATABASE_ROLE_PREFIX: TEST_ROLE_PREFIX, DATA_DIR: folder, SERVICE_SECRET: '' };
  return {
    database: database.name,
    topology: async (text) => {
      const file = join(folder, 'topology.yaml');
      await writeFile(file, text);
      return file;
    },
    up: (args, env = {}, scope = t) => run(scope, args, { ...common, ...env }),
  };
}

/** With a channel to it, so that it ends with the test, however that does. */
function run(t: TestScope, args: readonly string[], env: NodeJS.ProcessEnv): Running {
  const child = spawn(process.execPath, [join(import.meta.dirname, '..', 'extract.ts'), 'up', ...args], { env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  let said = '';
  for (const stream of [child.stdout!, child.stderr!]) stream.setEncoding('utf8').on('data', (text: string) => (said += text));
  const ended = once(child, 'close').then(([code, signal]) => String(signal ?? code));
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  let over = false;
  void ended.then(() => (over = true));
  const says = async (pattern: RegExp): Promise<RegExpExecArray> => {
    for (const deadline = performance.now() + PATIENCE_MS; ; ) {
      const found = pattern.exec(said);
      if (found) return found;
      if (over || performance.now() > deadline) throw new Error(`up ${over ? 'ended' : `ran for ${PATIENCE_MS} ms`} without saying ${pattern}: ${said}`);
      await sleep(20);
    }
  };
  return { process: child, output: () => said, says, ended };
}

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** @throws when any of them still runs after a while */
export async function untilGone(pids: readonly number[], timeoutMs = 60_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (pids.some(isAlive)) {
    if (performance.now() > deadline) throw new Error(`still running after ${timeoutMs} ms: ${pids.filter(isAlive).join(', ')}`);
    await sleep(20);
  }
}

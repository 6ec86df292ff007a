/**
 * One run of one process. It is in a session of its own, so that Ctrl-C at the terminal reaches `up` alone, which then
 * ends all in order; it has a channel to `up`, by whose end it learns that `up` is gone (parent.ts).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { projectRoot } from '../../src/host/discover.ts';
import type { Up } from '../parent.ts';

const EXTRACT = join(import.meta.dirname, '..', 'extract.ts');
/** Its last lines on standard error: why it ended. */
const LAST_WORDS = 6;
const LOOK_EVERY_MS = 100;
const ANSWER_MS = 2_000;

export interface ChildOptions {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Flags of Node.js. */
  readonly flags: readonly string[];
  onOutput(line: string): void;
  onComplaint(line: string): void;
}

export class Child {
  readonly #process: ChildProcess;
  readonly #lastWords: string[] = [];
  #up: Up | undefined;
  /** What it ended with: a signal's name or a code. */
  readonly ended: Promise<string>;

  constructor({ args, env, flags, onOutput, onComplaint }: ChildOptions) {
    const child = spawn(process.execPath, [...flags, EXTRACT, ...args], { cwd: projectRoot, env, detached: true, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    this.#process = child;
    child.on('message', (message: { up?: Up }) => (this.#up = message.up ?? this.#up));
    createInterface(child.stdout!).on('line', onOutput);
    createInterface(child.stderr!).on('line', (line) => {
      this.#lastWords.push(line);
      if (this.#lastWords.length > LAST_WORDS) this.#lastWords.shift();
      onComplaint(line);
    });
    this.ended = new Promise((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** Where it listens, once it has told. */
  get up(): Up | undefined {
    return this.#up;
  }

  get lastWords(): string {
    return this.#lastWords.join('\n');
  }

  get isRunning(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /**
   * It is asked where it says that it listens: at an address of the topology somebody else might answer.
   * @returns whether it has become ready, which it has not when it ended before, or took too long
   */
  async untilReady(timeoutMs: number): Promise<boolean> {
    const deadline = performance.now() + timeoutMs;
    while (this.isRunning && performance.now() < deadline) {
      if (this.#up && (await isReady(this.#up.public))) return this.isRunning;
      await Promise.race([this.ended, sleep(LOOK_EVERY_MS)]);
    }
    return false;
  }

  /** Asks it to end, and kills it when it has not ended in time. @returns whether it ended by itself */
  async stop(patienceMs: number): Promise<boolean> {
    this.#process.kill('SIGTERM');
    const late = new AbortController();
    const inTime = await Promise.race([this.ended.then(() => true), sleep(patienceMs, false, { signal: late.signal }).catch(() => false)]);
    late.abort();
    if (!inTime) this.kill();
    await this.ended;
    return inTime;
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }
}

async function isReady(origin: string): Promise<boolean> {
  try {
    const answer = await fetch(`${origin}/ready`, { signal: AbortSignal.timeout(ANSWER_MS) });
    await answer.arrayBuffer();
    return answer.status === 200;
  } catch {
    return false;
  }
}

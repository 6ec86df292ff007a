/**
 * The life of a process: what has been started is stopped again, the last first.
 *
 *   starting --everything is up--------> running
 *   starting --failure-----------------> what was started is stopped; exit 1
 *   starting --signal------------------> the step in hand ends, then draining
 *   running  --signal------------------> draining: requests and jobs in hand end; exit 0
 *   draining --another signal----------> exit at once, with 128 + the signal's number
 *   starting, after a signal | draining --it takes far too long---> exit 1
 *
 * Signals are SIGTERM, SIGINT (Ctrl-C) and SIGHUP (the terminal was closed). What is left running by an exit at
 * once, or by SIGKILL, is adopted by the next start.
 */
import { flushCompileCache } from 'node:module';
import { constants } from 'node:os';
import { destination } from 'pino';
import { createLog } from './log/log.ts';
import { explainFailure, type KernelSettings } from './settings/settings.ts';

/** Ctrl-C reaches this process twice, from the terminal and from npm, which passes it on. */
const ECHO_MS = 1_000;
/** For the database to stop after the host has been drained. */
const GRACE_MS = 35_000;
const LEAST_LEFT_MS = 250;

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

export class Life {
  readonly #started: (() => Promise<void>)[] = [];
  #stopTimeoutMs = 0;
  #drainedFrom = 0;
  readonly #ending = new AbortController();
  #signalled = 0;
  #isUp = false;

  /**
   * Lives until a signal comes.
   * @param start begins what there is to do; it looks at `isEnding` between its steps
   */
  static async run(start: (life: Life) => Promise<void>): Promise<void> {
    const life = new Life();
    for (const signal of SIGNALS) process.on(signal, (received: (typeof SIGNALS)[number]) => life.#onSignal(received));
    // A terminal or a pipe that has gone must not end the process in the middle of something.
    process.stdout.on('error', () => undefined);
    try {
      await start(life);
    } catch (error) {
      process.stderr.write(explainFailure(error));
      life.#limit();
      await life.#stopAll();
      process.exit(1);
    }
    if (life.isEnding) return life.#drain();
    life.#isUp = true;
    // Now and not at the end, which SIGKILL would leave out.
    flushCompileCache();
  }

  /** A signal came while it was starting: what is not started yet need not be. */
  get isEnding(): boolean {
    return this.#signalled > 0;
  }

  /** Aborts when `isEnding` comes true, for a step that is not waited for. */
  get ending(): AbortSignal {
    return this.#ending.signal;
  }

  /** Milliseconds that are left of those that draining may take; a few in any case, for what is told at the very end. */
  get leftToDrainMs(): number {
    return Math.max(LEAST_LEFT_MS, this.#drainedFrom + this.#stopTimeoutMs - performance.now());
  }

  /** How long what is in hand may take to end. */
  allowToDrain(ms: number): void {
    this.#stopTimeoutMs = ms;
  }

  /** Stops it at the end. */
  onEnd(stop: () => Promise<void>): void {
    this.#started.push(stop);
  }

  #onSignal(signal: (typeof SIGNALS)[number]): void {
    const now = performance.now();
    if (this.#signalled && now - this.#signalled > ECHO_MS) process.exit(128 + constants.signals[signal]);
    if (this.#signalled) return;
    this.#signalled = now;
    this.#ending.abort();
    say('Stopping: what is in hand is brought to its end. Once more to stop at once.');
    this.#limit();
    if (this.#isUp) void this.#drain();
  }

  async #drain(): Promise<void> {
    this.#drainedFrom = performance.now();
    process.exit((await this.#stopAll()) ? 0 : 1);
  }

  /** Also for a step of the start that does not end, e.g. because it waits for another process that stands still. */
  #limit(): void {
    const allowed = this.#stopTimeoutMs + GRACE_MS;
    setTimeout(() => {
      process.stderr.write(`Stopping has taken ${allowed / 1_000} s and is given up. What was acknowledged is kept.\n`);
      process.exit(1);
    }, allowed).unref();
  }

  /** Stops what was started, the last first, and each even when another fails. True when all of it went well. */
  async #stopAll(): Promise<boolean> {
    let clean = true;
    for (const stop of this.#started.splice(0).reverse()) {
      await stop().catch((error: unknown) => {
        clean = false;
        process.stderr.write(`Stopping: ${error instanceof Error ? error.message : String(error)}\n`);
      });
    }
    return clean;
  }
}

/** A line for the person at the terminal. */
export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Lines are written in the background, and what is left of them at the end. */
export function openLog(settings: Pick<KernelSettings, 'LOG_LEVEL'>): ReturnType<typeof createLog> {
  const output = destination({ dest: 1, sync: false });
  output.on('error', () => undefined);
  const log = createLog(settings.LOG_LEVEL, output);
  process.on('exit', () => output.flushSync());
  process.on('uncaughtException', (error) => {
    log.fatal(error, 'a failure that nobody handled');
    process.exit(1);
  });
  return log;
}

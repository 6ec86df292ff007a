/**
 * One password job at a time, without taking processor time from requests where that can be.
 *
 *   job --> patient thread: runs when a processor has nothing else to do
 *       --not done in time: none of them is ever idle--> insistent thread as well; whichever is first answers
 *   job while the patient thread is still at an earlier one --> insistent thread
 *   job done --> rest: the busier the event loop was meanwhile, the longer --> next job
 *
 * The rest is because a processor that is never idle costs the others even when what runs there yields at once: what is woken up
 * finds no idle one to run on. Decision 0031 has the measurements.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PasswordJob } from './password-job.ts';
import { PasswordThread } from './password-thread.ts';

/** Some twenty times as long as a hash takes. */
const PATIENCE_MS = 250;
/** For each millisecond that the event loop was busy during a job. */
const REST_MS = 2;
/** Sign-ins go on in a shop that is never idle: at a fifth of the rate or so, and not at none. */
const LONGEST_REST_MS = 50;

export class PasswordLane {
  readonly #patient: PasswordThread;
  readonly #insistent: PasswordThread;
  /** Of `performance.now()`. */
  #restsUntil = 0;

  /** @param idleMs milliseconds after which an idle thread ends */
  constructor(idleMs: number) {
    this.#patient = new PasswordThread('patient', idleMs);
    this.#insistent = new PasswordThread('insistent', idleMs);
  }

  /** Not to be called before the job before has ended. */
  async run(job: PasswordJob): Promise<string | boolean> {
    const rest = this.#restsUntil - performance.now();
    if (rest > 0) await sleep(rest);
    const before = performance.eventLoopUtilization();
    try {
      return await this.#inThread(job);
    } finally {
      this.#restsUntil = performance.now() + restMs(performance.eventLoopUtilization(before).active);
    }
  }

  async end(): Promise<void> {
    await Promise.all([this.#patient.end(), this.#insistent.end()]);
  }

  async #inThread(job: PasswordJob): Promise<string | boolean> {
    if (this.#patient.isBusy) return this.#insistent.run(job);
    return new Promise((resolve, reject) => {
      const hurry = setTimeout(() => void this.#insistent.run(job).then(resolve, reject), PATIENCE_MS);
      void this.#patient.run(job).then(resolve, reject).finally(() => clearTimeout(hurry));
    });
  }
}

/** @param activeMs milliseconds that the event loop was busy while the job was done */
export function restMs(activeMs: number): number {
  return Math.min(LONGEST_REST_MS, REST_MS * activeMs);
}

/**
 * One password job at a time, without taking processor time from requests where that can be.
 *
 *   job --> patient thread: runs when a processor has nothing else to do
 *       --not done in time: none of them is ever idle--> insistent thread as well; whichever is first answers
 *   job while the patient thread is still at an earlier one --> insistent thread
 *
 * At 200 orders a second on two cores, hashing without pause made the 99th percentile of checkout 2.6 times as long in a
 * thread of nice value 10 and 1.3 to 1.6 times in a patient one; keeping the second core busy by itself made it 1.5 times as long.
 */
import type { PasswordJob } from './password-job.ts';
import { PasswordThread } from './password-thread.ts';

/** Some ten times as long as a hash takes. */
const PATIENCE_MS = 250;

export class PasswordLane {
  readonly #patient: PasswordThread;
  readonly #insistent: PasswordThread;

  /** @param idleMs milliseconds after which an idle thread ends */
  constructor(idleMs: number) {
    this.#patient = new PasswordThread('patient', idleMs);
    this.#insistent = new PasswordThread('insistent', idleMs);
  }

  async run(job: PasswordJob): Promise<string | boolean> {
    if (this.#patient.isBusy) return this.#insistent.run(job);
    return new Promise((resolve, reject) => {
      const hurry = setTimeout(() => void this.#insistent.run(job).then(resolve, reject), PATIENCE_MS);
      void this.#patient.run(job).then(resolve, reject).finally(() => clearTimeout(hurry));
    });
  }

  async end(): Promise<void> {
    await Promise.all([this.#patient.end(), this.#insistent.end()]);
  }
}

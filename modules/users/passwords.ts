/**
 * Hashes and checks passwords in threads of their own.
 *
 *   absent --first job--> busy <--> idle --`idleMs` without a job, or close()--> absent
 *   busy --the thread dies--> absent (the job fails, the next one starts a new thread)
 *
 * A storm of sign-ins must not slow checkout: hashes are few at a time, and leave the processors to requests
 * (password-lane.ts).
 */
import type { Call } from '#kernel';
import { decoyHash } from './password-job.ts';
import { PasswordLane } from './password-lane.ts';
import { Slots } from './slots.ts';

export interface PasswordLimits {
  /** Hashes at a time. */
  readonly concurrency: number;
  /** Hashes that may wait for their turn. */
  readonly queue: number;
  /** Milliseconds after which an idle thread ends and gives its 10 MB back. */
  readonly idleMs: number;
}

/** Whether a password fits a hash; without a hash it does not, after as long a time. */
export type PasswordCheck = (hash: string | undefined, password: string) => Promise<boolean>;

export class Passwords {
  readonly #slots: Slots;
  readonly #free: PasswordLane[] = [];
  readonly #lanes: readonly PasswordLane[];
  readonly #decoy = decoyHash();

  constructor(limits: PasswordLimits) {
    this.#slots = new Slots('password checks', { slots: limits.concurrency, queue: limits.queue });
    this.#lanes = Array.from({ length: limits.concurrency }, () => new PasswordLane(limits.idleMs));
    this.#free.push(...this.#lanes);
  }

  /** Jobs that wait for a thread. */
  get waiting(): number {
    return this.#slots.waiting;
  }

  /** Hash of a new password in the PHC string format. @throws CallError as `Slots.run` */
  async hash(password: string, call: Call): Promise<string> {
    return this.#inThread(call, async (lane) => (await lane.run({ kind: 'hash', password })) as string);
  }

  /**
   * Runs `work` when its turn has come; what it looks up before the check and records after it, no other check
   * of this slot comes between.
   * @throws CallError as `Slots.run`, and whatever `work` throws
   */
  async inTurn<T>(call: Call, work: (check: PasswordCheck) => Promise<T>): Promise<T> {
    return this.#inThread(call, (lane) =>
      work(async (hash, password) => (await lane.run({ kind: 'verify', hash: hash ?? this.#decoy, password })) as boolean),
    );
  }

  async close(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.end()));
  }

  #inThread<T>(call: Call, work: (lane: PasswordLane) => Promise<T>): Promise<T> {
    return this.#slots.run(call, async () => {
      const lane = this.#free.pop()!;
      try {
        return await work(lane);
      } finally {
        this.#free.push(lane);
      }
    });
  }
}

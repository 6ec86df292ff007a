/** One hashing thread that is there while there is work; its states stand in `passwords.ts`. */
import { Worker } from 'node:worker_threads';
import type { PasswordAnswer, PasswordJob, PasswordThreadKind } from './password-job.ts';

const STOPPED = 'the hashing thread was stopped';

interface Pending {
  resolve(result: string | boolean): void;
  reject(error: Error): void;
}

export class PasswordThread {
  readonly #kind: PasswordThreadKind;
  readonly #idleMs: number;
  #worker: Worker | undefined;
  #pending: Pending | undefined;
  #retirement: NodeJS.Timeout | undefined;
  #jobs = 0;
  #ends = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(kind: PasswordThreadKind, idleMs: number) {
    this.#kind = kind;
    this.#idleMs = idleMs;
  }

  get isBusy(): boolean {
    return this.#jobs > 0;
  }

  /**
   * Carries out jobs one after the other, each with its own answer: whoever asks may have lost interest in one (password-lane.ts)
   * and come with the next while the thread is still at it.
   */
  async run(job: PasswordJob): Promise<string | boolean> {
    const ends = this.#ends;
    this.#jobs += 1;
    const done = this.#last
      .then(async () => {
        if (ends !== this.#ends) throw new Error(STOPPED);
        return this.#carryOut(job);
      })
      .finally(() => (this.#jobs -= 1));
    this.#last = done.catch(() => undefined);
    return done;
  }

  async #carryOut(job: PasswordJob): Promise<string | boolean> {
    clearTimeout(this.#retirement);
    const worker = (this.#worker ??= this.#start());
    worker.ref();
    try {
      return await new Promise<string | boolean>((resolve, reject) => {
        this.#pending = { resolve, reject };
        worker.postMessage(job);
      });
    } finally {
      this.#pending = undefined;
      if (this.#worker === worker) this.#rest(worker);
    }
  }

  async end(): Promise<void> {
    clearTimeout(this.#retirement);
    this.#ends += 1;
    const worker = this.#worker;
    if (!worker) return;
    this.#lose(worker, new Error(STOPPED));
    worker.ref();
    await worker.terminate();
  }

  /** An idle thread keeps no process alive. */
  #rest(worker: Worker): void {
    worker.unref();
    this.#retirement = setTimeout(() => void this.end(), this.#idleMs).unref();
  }

  #start(): Worker {
    const worker = new Worker(new URL('./password-worker.ts', import.meta.url), { execArgv: [], workerData: this.#kind });
    worker.on('message', (answer: PasswordAnswer) => this.#settle(answer));
    worker.on('error', (error) => this.#lose(worker, error as Error));
    worker.on('exit', () => this.#lose(worker, new Error('the hashing thread ended')));
    return worker;
  }

  #settle({ result, error }: PasswordAnswer): void {
    if (result === undefined) this.#pending?.reject(new Error(`the password could not be hashed: ${error}`));
    else this.#pending?.resolve(result);
  }

  #lose(worker: Worker, error: Error): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    this.#pending?.reject(error);
  }
}

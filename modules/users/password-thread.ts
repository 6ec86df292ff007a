/**
 * One hashing thread that is there while there is work; its states stand in `passwords.ts`. It may be given a job while it is still
 * at another one: of two threads that race for a job the slower one goes on when nobody waits for it any more. The thread
 * works in the order of asking, so each answer is for whoever has waited longest, and never for whoever came last.
 */
import { Worker } from 'node:worker_threads';
import type { PasswordAnswer, PasswordJob, PasswordThreadKind } from './password-job.ts';

interface Pending {
  resolve(result: string | boolean): void;
  reject(error: Error): void;
}

export class PasswordThread {
  readonly #kind: PasswordThreadKind;
  readonly #idleMs: number;
  #worker: Worker | undefined;
  /** In the order of asking. */
  #pending: Pending[] = [];
  #retirement: NodeJS.Timeout | undefined;

  constructor(kind: PasswordThreadKind, idleMs: number) {
    this.#kind = kind;
    this.#idleMs = idleMs;
  }

  get isBusy(): boolean {
    return this.#pending.length > 0;
  }

  /** Carries out one job, after those that it was given before. */
  async run(job: PasswordJob): Promise<string | boolean> {
    clearTimeout(this.#retirement);
    const worker = (this.#worker ??= this.#start());
    worker.ref();
    try {
      return await new Promise<string | boolean>((resolve, reject) => {
        this.#pending.push({ resolve, reject });
        worker.postMessage(job);
      });
    } finally {
      if (this.#worker === worker && !this.isBusy) this.#rest(worker);
    }
  }

  async end(): Promise<void> {
    clearTimeout(this.#retirement);
    const worker = this.#worker;
    if (!worker) return;
    this.#lose(worker, new Error('the hashing thread was stopped'));
    worker.ref();
    await worker.terminate();
  }

  /** An idle thread keeps no process alive. */
  #rest(worker: Worker): void {
    worker.unref();
    clearTimeout(this.#retirement);
    this.#retirement = setTimeout(() => void this.end(), this.#idleMs).unref();
  }

  #start(): Worker {
    const worker = new Worker(new URL('./password-worker.ts', import.meta.url), { execArgv: [], workerData: this.#kind });
    worker.on('message', (answer: PasswordAnswer) => {
      // One that was given up has nobody left who waits.
      if (this.#worker === worker) this.#settle(answer);
    });
    worker.on('error', (error) => this.#lose(worker, error as Error));
    worker.on('exit', () => this.#lose(worker, new Error('the hashing thread ended')));
    return worker;
  }

  #settle({ result, error }: PasswordAnswer): void {
    const first = this.#pending.shift();
    if (result === undefined) first?.reject(new Error(`the password could not be hashed: ${error}`));
    else first?.resolve(result);
  }

  #lose(worker: Worker, error: Error): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    const lost = this.#pending;
    this.#pending = [];
    for (const { reject } of lost) reject(error);
  }
}

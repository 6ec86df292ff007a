/** Runs a module's recurring work while this process owns the module: one run of a task at a time, unless one hangs and is given up. */
import type { Logger } from 'pino';
import { Call } from '../calls/call.ts';
import type { Gate } from '../calls/gate.ts';
import { CallError } from '../contract/errors.ts';
import type { Task } from '../module.ts';

export interface TaskRunnerOptions {
  readonly module: string;
  readonly tasks: readonly Task[];
  readonly gate: Gate;
  readonly log: Logger;
}

const TASK_TIMEOUT_MS = 60_000;

export class TaskRunner {
  readonly #options: TaskRunnerOptions;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #running = new Map<string, Promise<void>>();

  constructor(options: TaskRunnerOptions) {
    this.#options = options;
  }

  start(): void {
    const { tasks } = this.#options;
    for (const task of tasks) {
      this.#timers.push(setInterval(() => this.#begin(task), task.everyMs));
      if (task.firstAfterMs) this.#timers.push(setTimeout(() => this.#begin(task), task.firstAfterMs));
    }
    void this.#beginEach(tasks.filter(({ firstAfterMs }) => !firstAfterMs));
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    await Promise.all(this.#running.values());
  }

  /** One after the other: all at once they would take as many connections, which the module has no other use for. */
  async #beginEach(tasks: readonly Task[]): Promise<void> {
    for (const task of tasks) {
      const isStopped = this.#timers.length === 0;
      if (isStopped) return;
      this.#begin(task);
      await this.#running.get(task.name);
    }
  }

  #begin(task: Task): void {
    if (this.#running.has(task.name)) return;
    const run = this.#run(task).finally(() => this.#running.delete(task.name));
    this.#running.set(task.name, run);
  }

  async #run(task: Task): Promise<void> {
    const { gate, log, module } = this.#options;
    try {
      gate.enter();
    } catch {
      return;
    }
    try {
      await within(task, Call.root(module, TASK_TIMEOUT_MS));
    } catch (error) {
      log.warn({ err: error, task: task.name }, 'a task failed; it runs again at its time');
    } finally {
      gate.leave();
    }
  }
}

/** A task that hangs would keep the process from giving up the module, and from ever taking it again. */
async function within(task: Task, call: Call): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new CallError('DEADLINE_EXCEEDED', `the task ${task.name} took too long`)), call.remainingMs);
  try {
    await Promise.race([task.run(call), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

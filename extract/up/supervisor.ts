/**
 * Starts all processes of a topology, keeps them running, and stops them again in order. What becomes of one of them is decided in
 * supervision.ts; here it is done, and said.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { StartError } from '../../src/settings/start-error.ts';
import { Child } from './child.ts';
import { shown } from './output.ts';
import type { ProcessPlan } from './plan.ts';
import { Supervision } from './supervision.ts';

export interface SupervisorOptions {
  /** Arguments that all processes get, e.g. the topology. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly flags: readonly string[];
  /** Processes that start at the same time. */
  readonly atOnce: number;
  /** How long one may take to end before it is killed. */
  readonly patienceMs: number;
  /** Shows all that they say, not only warnings. */
  readonly logs: boolean;
  say(line: string): void;
}

const START_TIMEOUT_MS = 120_000;

export class Supervised {
  readonly plan: ProcessPlan;
  readonly #options: SupervisorOptions;
  readonly #supervision = new Supervision();
  readonly #stopped = new AbortController();
  #child: Child | undefined;

  constructor(plan: ProcessPlan, options: SupervisorOptions) {
    this.plan = plan;
    this.#options = options;
  }

  get child(): Child | undefined {
    return this.#child;
  }

  get isUp(): boolean {
    return this.#supervision.state === 'up';
  }

  /** @throws StartError where it ends before it is ready, with what it said last */
  async start(): Promise<void> {
    if (!this.#supervision.begin()) return;
    const child = this.#spawn();
    if (await child.untilReady(START_TIMEOUT_MS)) this.#supervision.ready(performance.now());
    else if (this.#supervision.state === 'starting' || this.#supervision.state === 'failed') throw await this.#failure(child);
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    if (!this.#supervision.stop()) return;
    const { patienceMs, say } = this.#options;
    if (!(await this.#child!.stop(patienceMs))) say(`${this.plan.name} has not ended within ${patienceMs / 1_000} s and was killed`);
  }

  #spawn(): Child {
    const { args, env, flags, logs, say } = this.#options;
    const { name } = this.plan;
    const show = (line: string | undefined): void => void (line === undefined || say(`[${name}] ${line}`));
    const child = new Child({ args: [...this.plan.args, ...args], env: { ...env, ...this.plan.env }, flags, onOutput: (line) => show(shown(line, logs)), onComplaint: (line) => this.#complain(line, show) });
    this.#child = child;
    void child.ended.then((how) => this.#onEnd(how));
    return child;
  }

  /** What one says that cannot start is said by whoever gives up the start. */
  #complain(line: string, show: (line: string) => void): void {
    if (this.#options.logs || this.#supervision.state !== 'starting') show(line);
  }

  #onEnd(how: string): void {
    if (this.#supervision.ended(performance.now()) !== 'pausing') return;
    const { pauseMs } = this.#supervision;
    this.#options.say(`${this.plan.name} has ended (${how}) and is started again in ${pauseMs / 1_000} s`);
    void this.#startAgain(pauseMs);
  }

  async #startAgain(pauseMs: number): Promise<void> {
    await sleep(pauseMs, undefined, { signal: this.#stopped.signal }).catch(() => undefined);
    if (!this.#supervision.begin()) return;
    const child = this.#spawn();
    if (await child.untilReady(START_TIMEOUT_MS)) {
      this.#supervision.ready(performance.now());
      this.#options.say(`${this.plan.name} is ready again (process ${child.pid})`);
    } else if (child.isRunning) {
      child.kill();
    } else if (this.#supervision.state === 'pausing') {
      this.#options.say(`${this.plan.name} could not start: ${child.lastWords || 'it said nothing'}`);
    }
  }

  async #failure(child: Child): Promise<StartError> {
    const { name } = this.plan;
    if (child.isRunning) return new StartError(`${name} is not ready after ${START_TIMEOUT_MS / 1_000} s`, 'See what it says: add --logs.');
    const reason = child.lastWords.replace(/^Cleave cannot start: /, '');
    return new StartError(`${name} ended before it was ready (${await child.ended})${reason && `:\n${reason}`}`, 'Nothing is left running of what was started.');
  }
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly all: readonly Supervised[];

  constructor(plans: readonly ProcessPlan[], options: SupervisorOptions) {
    this.#options = options;
    this.all = plans.map((plan) => new Supervised(plan, options));
  }

  /**
   * Starts all, in their order and some at a time.
   * @param isOver whether the start is given up meanwhile
   * @throws StartError of the first that cannot start; the others are left to `stop`
   */
  async start(isOver: () => boolean): Promise<void> {
    const waiting = [...this.all];
    let ready = 0;
    let hasFailed = false;
    const worker = async (): Promise<void> => {
      for (let next = waiting.shift(); next && !hasFailed && !isOver(); next = waiting.shift()) {
        await next.start();
        ready += 1;
        if (next.isUp) this.#options.say(`${next.plan.name} is ready (${ready} of ${this.all.length})`);
      }
    };
    const guarded = async (): Promise<void> => worker().catch((error: unknown) => ((hasFailed = true), Promise.reject(error as Error)));
    await Promise.all(Array.from({ length: this.#options.atOnce }, guarded));
  }

  /** The gateway first, then services before those they call, the registry last. */
  async stop(): Promise<void> {
    const waves = [...new Set(this.all.map(({ plan }) => plan.wave))].toSorted((a, b) => b - a);
    for (const wave of waves) await Promise.all(this.all.filter(({ plan }) => plan.wave === wave).map(async (one) => one.stop()));
  }

  kill(): void {
    for (const { child } of this.all) if (child?.isRunning) child.kill();
  }
}

/**
 * The one gate through which all work enters a module: calls, routes, events, timers.
 *
 *   open --close()--> closed (new work is refused; work in flight goes on) --last leaves--> drained
 *   closed --open()--> open
 */
import { CallError } from '../contract/errors.ts';

export class Gate {
  readonly #module: string;
  #inFlight = 0;
  #closed = false;
  #drained: (() => void)[] = [];

  constructor(module: string) {
    this.#module = module;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** @throws CallError UNAVAILABLE when the gate is closed */
  enter(): void {
    if (this.#closed) throw new CallError('UNAVAILABLE', `${this.#module} is shutting down`);
    this.#inFlight += 1;
  }

  leave(): void {
    this.#inFlight -= 1;
    if (this.#inFlight === 0) this.#release();
  }

  open(): void {
    this.#closed = false;
  }

  /** Refuses new work and resolves when the last work in flight has left. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#inFlight === 0) return;
    await new Promise<void>((resolve) => this.#drained.push(resolve));
  }

  #release(): void {
    for (const resolve of this.#drained.splice(0)) resolve();
  }
}

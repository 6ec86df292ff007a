/** Requests that wait for a change. */
import type { IncomingMessage } from 'node:http';

export class Watchers {
  readonly #waiting = new Set<() => void>();
  readonly #patienceMs: number;

  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  /** Until there is a change, it has waited long enough, or its client has gone. */
  async wait({ socket }: IncomingMessage): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, this.#patienceMs);
    this.#waiting.add(resolve);
    socket.once('close', resolve);
    await promise;
    socket.off('close', resolve);
    this.#waiting.delete(resolve);
    clearTimeout(timer);
  }

  tell(): void {
    for (const resolve of this.#waiting) resolve();
  }
}

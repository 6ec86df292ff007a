/** Asks each registered replica again and again whether it is ready. */
import { Agent, request } from 'undici';
import type { Finding, Register } from './register.ts';

const EVERY_MS = 500;
const ANSWER_MS = 1_000;

export class HealthChecks {
  readonly #register: Register;
  readonly #agent = new Agent({ connections: 1, pipelining: 1, connect: { timeout: ANSWER_MS } });
  readonly #underWay = new Set<string>();
  readonly #timer: NodeJS.Timeout;

  constructor(register: Register) {
    this.#register = register;
    this.#timer = setInterval(() => this.#round(), EVERY_MS);
  }

  /** Somebody new is not called before it has been found ready. */
  check(id: string, origin: string): void {
    if (this.#underWay.has(id)) return;
    this.#underWay.add(id);
    void this.#look(origin).then((finding) => {
      this.#underWay.delete(id);
      this.#register.found(id, finding);
    });
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#agent.destroy();
  }

  #round(): void {
    this.#register.passTime(performance.now());
    for (const [id, record] of this.#register.registered) this.check(id, record.public);
  }

  async #look(origin: string): Promise<Finding> {
    const late = AbortSignal.timeout(ANSWER_MS);
    try {
      const { statusCode, body } = await request(`${origin}/ready`, { dispatcher: this.#agent, signal: late });
      await body.dump();
      return statusCode === 200 ? 'ready' : 'refused';
    } catch (error) {
      const { code } = error as { code?: string };
      return late.aborted || code === 'UND_ERR_CONNECT_TIMEOUT' ? 'silent' : 'refused';
    }
  }
}

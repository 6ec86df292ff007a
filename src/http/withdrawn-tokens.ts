/**
 * Whose older tokens are withdrawn, as the module that signs tells it: a role was changed, or a password.
 *
 *   unknown --first token--> asking --answer--> known
 *   asking --failure--> unknown (tokens cannot be checked: 503)
 *   known --a token, ASK_AGAIN_MS after the last question--> asking, in the background
 *   known --a token, STALE_MS after the question that was answered last--> asking, and the token waits for the answer
 *   known --failure--> known, and no token waits until there is an answer again: while the module that signs is
 *     down nobody can be demoted there, and its failure must not become everybody's
 *
 * So a token is judged by an answer that was asked for STALE_MS before it at the most. Only what is new is asked for, from
 * the mark of the last answer on, and everything once an hour, which forgets users whose old tokens have expired.
 *
 * Rejected: the bus of the deployment, which is faster and reaches no process that has another database. Rejected: asking for the user of
 * each token, which costs a call and a statement for each request; this costs a look-up in a map.
 */
import type { Logger } from 'pino';
import { CallError } from '../contract/errors.ts';

/** What the module that signs answers, a page at a time. */
export interface Withdrawals {
  /** Tokens of these users count only from this generation on. */
  readonly withdrawn: readonly { readonly userId: string; readonly generation: number }[];
  /** Where to go on, now or later. */
  readonly next: string;
  /** There is more already. */
  readonly more: boolean;
}

export type AskForWithdrawals = (after: string | undefined) => Promise<Withdrawals>;

const ASK_AGAIN_MS = 1_000;
/** How old a judgement may be; stated in docs/architecture.md and the users module's README. */
const STALE_MS = 3_000;
const ANEW_MS = 3_600_000;

export class WithdrawnTokens {
  readonly #ask: AskForWithdrawals;
  readonly #log: Pick<Logger, 'warn'>;
  #generations: Map<string, number> | undefined;
  #mark: string | undefined;
  #begunAt = Number.NEGATIVE_INFINITY;
  #askedAt = Number.NEGATIVE_INFINITY;
  /** When that question was asked which was answered last. */
  #answeredAt = Number.NEGATIVE_INFINITY;
  #hasFailed = false;
  #asking: Promise<void> | undefined;

  constructor(ask: AskForWithdrawals, log: Pick<Logger, 'warn'>) {
    this.#ask = ask;
    this.#log = log;
  }

  /** Whether a token of that generation is withdrawn, as far as is known. */
  includes(userId: string, generation: number): boolean {
    const least = this.#generations?.get(userId);
    return least !== undefined && generation < least;
  }

  /**
   * What a token has to wait for before `includes` may be asked; nothing, nearly always.
   * @throws CallError UNAVAILABLE (rejects) when nothing has ever been known
   */
  refresh(): Promise<void> | undefined {
    const now = performance.now();
    if (this.#generations === undefined) return this.#load(now);
    if (now - this.#askedAt >= ASK_AGAIN_MS) void this.#load(now);
    return now - this.#answeredAt >= STALE_MS && !this.#hasFailed ? this.#asking : undefined;
  }

  #load(now: number): Promise<void> {
    this.#asking ??= this.#fetch(now).finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #fetch(now: number): Promise<void> {
    this.#askedAt = now;
    try {
      await this.#readOn(now);
      this.#answeredAt = now;
      this.#hasFailed = false;
    } catch (error) {
      if (this.#generations === undefined) throw new CallError('UNAVAILABLE', 'tokens cannot be checked at the moment', { cause: error });
      if (!this.#hasFailed) this.#log.warn({ err: error }, 'withdrawn tokens could not be asked for; those known stay withdrawn');
      this.#hasFailed = true;
    }
  }

  async #readOn(now: number): Promise<void> {
    const isAnew = now - this.#begunAt >= ANEW_MS;
    const generations = isAnew || !this.#generations ? new Map<string, number>() : this.#generations;
    let page: Withdrawals;
    let mark = isAnew ? undefined : this.#mark;
    do {
      page = await this.#ask(mark);
      for (const { userId, generation } of page.withdrawn) generations.set(userId, Math.max(generation, generations.get(userId) ?? 0));
      mark = page.next;
    } while (page.more);
    this.#mark = mark;
    this.#generations = generations;
    if (isAnew) this.#begunAt = now;
  }
}

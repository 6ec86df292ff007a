/** Retries that may be made: a tenth of the calls, and a few more after a quiet time. Pure, but for what it remembers. */
const PER_CALL = 0.1;
const MOST = 10;

export class RetryBudget {
  #left = MOST;

  /** A call begins. */
  earn(): void {
    this.#left = Math.min(MOST, this.#left + PER_CALL);
  }

  /** @returns whether one more retry may be made */
  spend(): boolean {
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}

/**
 * Why the process cannot start, for the person who started it: one sentence with the value at fault, and what
 * to do about it. It is printed without a stack. Values of secret settings never belong in either.
 */
export class StartError extends Error {
  override readonly name = 'StartError';
  /** What to do, as one sentence. */
  readonly remedy: string;

  constructor(sentence: string, remedy: string, options: { cause?: unknown } = {}) {
    super(sentence, options);
    this.remedy = remedy;
  }
}

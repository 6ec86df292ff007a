/**
 * Verified tokens, remembered until they expire: verifying RS256 takes 22 µs, recalling 0.2.
 *
 * Two generations of at most `max` tokens each: the younger is written to; when it is full it becomes the
 * older one, and what nobody presented meanwhile is dropped with the older one. That bounds the memory like
 * an LRU list does, without moving anything on the hot path.
 */
import type { Actor } from '../calls/call.ts';

/** What a verified token says. */
export interface Bearer {
  readonly actor: Actor;
  /** See `gen` of TokenClaims. */
  readonly generation: number;
}

interface Remembered extends Bearer {
  /** Epoch milliseconds. */
  readonly expiresAt: number;
}

export class TokenMemory {
  readonly #max: number;
  #younger = new Map<string, Remembered>();
  #older = new Map<string, Remembered>();

  constructor(max: number) {
    this.#max = max;
  }

  recall(token: string): Bearer | undefined {
    const remembered = this.#younger.get(token) ?? this.#promote(token);
    return remembered && remembered.expiresAt > Date.now() ? remembered : undefined;
  }

  remember(token: string, { actor, generation }: Bearer, expiresAt: number): void {
    this.#write(token, { actor, generation, expiresAt });
  }

  forgetAll(): void {
    this.#younger = new Map();
    this.#older = new Map();
  }

  #promote(token: string): Remembered | undefined {
    const remembered = this.#older.get(token);
    if (remembered) this.#write(token, remembered);
    return remembered;
  }

  #write(token: string, remembered: Remembered): void {
    if (this.#younger.size >= this.#max) {
      this.#older = this.#younger;
      this.#younger = new Map();
    }
    this.#younger.set(token, remembered);
  }
}

/** Chance that can be had again: everything that a run draws comes from its seed. */
import { randomInt } from 'node:crypto';

export function freshSeed(): number {
  return randomInt(2 ** 31);
}

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Uniform in [0, 1). Mulberry32 by Tommy Ettinger: 32 bits of state are plenty for what is drawn here. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** A whole number from `least` to `most`, both included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  oneOf<T>(values: readonly T[]): T {
    return values[this.between(0, values.length - 1)]!;
  }

  /** A source of its own for somebody who draws at times that nobody can repeat. */
  branch(): Random {
    return new Random(this.between(0, 2 ** 32 - 1));
  }
}

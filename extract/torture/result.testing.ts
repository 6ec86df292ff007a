/** What a run of torture comes to. */
import type { Journal } from './journal.testing.ts';

/** Sentences that contradict a claim; none, if it holds. */
export type Violations = readonly string[];

export interface Finding {
  readonly claim: string;
  readonly violations: Violations;
}

export interface Result {
  readonly findings: readonly Finding[];
  /** What was measured, as sentences. */
  readonly figures: readonly string[];
  /** Of runs in which customers trade. */
  readonly journal?: Journal;
}

/** One claim about one thing. */
export function holds(claim: string, isTrue: boolean, otherwise: string): Finding {
  return { claim, violations: isTrue ? [] : [otherwise] };
}

/** Least, median and most of times in milliseconds. */
export function spread(what: string, milliseconds: readonly number[]): string {
  if (milliseconds.length === 0) return `${what}: never`;
  const sorted = milliseconds.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)]!.toFixed();
  return `${what}: ${at(0)} / ${at(0.5)} / ${at(1)} ms (least / median / most of ${sorted.length})`;
}

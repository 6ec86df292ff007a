/** Which known words somebody may have meant by one that no product has. Pure. */

/** Shorter words have too many neighbours to guess. */
const MIN_LENGTH = 4;
/** From here on two slips are forgiven. */
const LONG = 8;
const MAX_SUGGESTIONS = 3;

/** Numbers and model names are meant as they are written. */
export function mayBeMisspelt(word: string): boolean {
  return word.length >= MIN_LENGTH && !/\p{N}/u.test(word);
}

/** The word with each two neighbouring letters swapped: the slip that shares the fewest trigrams with what was meant. */
export function swaps(word: string): string[] {
  const letters = [...word];
  return letters.slice(1).map((letter, index) => [...letters.slice(0, index), letter, letters[index], ...letters.slice(index + 2)].join(''));
}

/** The known words that are nearest to what was asked, all equally near; none when all are too far. */
export function suggestions(asked: string, known: readonly string[]): string[] {
  const allowed = asked.length >= LONG ? 2 : 1;
  const near = known.map((word) => ({ word, slips: slipsTo(asked, word) })).filter(({ slips }) => slips <= allowed);
  const fewest = Math.min(...near.map(({ slips }) => slips));
  return near.filter(({ slips }) => slips === fewest).map(({ word }) => word).slice(0, MAX_SUGGESTIONS);
}

/** Somebody who has typed the beginning of a word has made no mistake; it counts as one slip. */
function slipsTo(asked: string, word: string): number {
  return word.startsWith(asked) ? 1 : distance(asked, word);
}

/**
 * Insertions, deletions, replacements and swaps of neighbours that lead from one word to the other: the optimal string
 * alignment distance.
 */
export function distance(from: string, to: string): number {
  let [beforeLast, last] = [[] as number[], Array.from({ length: to.length + 1 }, (_, index) => index)];
  for (let i = 1; i <= from.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const replaced = last[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      const swapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1] ? beforeLast[j - 2]! + 1 : Infinity;
      row.push(Math.min(last[j]! + 1, row[j - 1]! + 1, replaced, swapped));
    }
    [beforeLast, last] = [last, row];
  }
  return last[to.length]!;
}

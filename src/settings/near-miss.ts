/** Finds variables that were probably meant to be a setting but are spelled otherwise, e.g. DATABSE_URL. */

const SHORTEST_NAME = 6;
const LONG_NAME = 8;

/** The known name that `name` is a misspelling of; short names are left alone, for HOME is no mistyped HOST. */
export function nearMiss(name: string, known: readonly string[]): string | undefined {
  const candidate = name.toUpperCase();
  return known.find((other) => {
    const mistakes = other.length < LONG_NAME ? 1 : 2;
    return other.length >= SHORTEST_NAME && candidate.slice(0, 2) === other.slice(0, 2) && editDistance(candidate, other) <= mistakes;
  });
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment) between two texts. */
export function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)];
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? rows[i - 2]![j - 2]! + 1 : Infinity;
      row.push(Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, replaced, swapped));
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}

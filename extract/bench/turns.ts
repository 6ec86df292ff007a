/** Who is measured first is not always the same one: what a turn leaves behind, the next one finds. */

/** @param round from 0 on @returns all of them, in each round beginning with the next one */
export function turnsOf<T>(all: readonly T[], round: number): T[] {
  const first = round % all.length;
  return [...all.slice(first), ...all.slice(0, first)];
}

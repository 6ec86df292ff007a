/** How much of each product the demo shop has; pure, so that every demo shop looks the same. */

/** Pieces of the catalog's product number `position` (from 0): mostly 20 to 200, some running low, a few sold out. */
export function demoStock(position: number): number {
  if (position % 110 === 57) return 0;
  if (position % 25 === 12) return 1 + (position % 4);
  return 20 + ((position * 73) % 181);
}

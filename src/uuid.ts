/**
 * UUIDv7 (RFC 9562, section 5.7) with sub-millisecond order: the 12 bits after the version hold the fraction
 * of the millisecond (method 3), and within one process ids never go backwards. Event order rests on it.
 */
import { randomFillSync } from 'node:crypto';

const POOL = 4096;
const random = Buffer.alloc(POOL);
let used = POOL;
let last = 0n;

const FRACTIONS = 4096n;

/** The next id; ids of one process sort in the order in which they were made. */
export function uuidv7(): string {
  if (used + 8 > POOL) {
    randomFillSync(random);
    used = 0;
  }
  const ticks = tick();
  const head = (ticks >> 12n).toString(16).padStart(12, '0');
  const fraction = (ticks & (FRACTIONS - 1n)).toString(16).padStart(3, '0');
  const variant = ((random[used]! & 0x3f) | 0x80).toString(16);
  const tail = random.toString('hex', used + 1, used + 8);
  used += 8;
  return `${head.slice(0, 8)}-${head.slice(8)}-7${fraction}-${variant}${tail.slice(0, 2)}-${tail.slice(2)}`;
}

/** Time in 1/4096 ms, made strictly increasing. */
function tick(): bigint {
  const now = BigInt(Math.floor((performance.timeOrigin + performance.now()) * Number(FRACTIONS)));
  last = now > last ? now : last + 1n;
  return last;
}

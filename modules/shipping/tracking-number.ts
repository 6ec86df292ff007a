/**
 * Tracking numbers: `CL`, 15 random characters of Crockford's base 32 (75 bits: nobody guesses one) and a check
 * character, so that a number that was read out or typed wrongly is recognised before anybody looks it up.
 * The check character is Luhn's modulo N (https://en.wikipedia.org/wiki/Luhn_mod_N_algorithm), N = 32.
 */
import { randomBytes } from 'node:crypto';

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const PREFIX = 'CL';
const LENGTH = 15;

/** @param random at least 15 bytes; of each its low five bits count */
export function trackingNumber(random: Uint8Array = randomBytes(LENGTH)): string {
  let body = '';
  for (const byte of random.subarray(0, LENGTH)) body += ALPHABET[byte % ALPHABET.length];
  return `${PREFIX}${body}${checkCharacter(body)}`;
}

/** Recognises every wrong character and nearly every swap of two neighbours. */
export function isTrackingNumber(text: string): boolean {
  const match = /^CL([0-9A-HJKMNP-TV-Z]{15})([0-9A-HJKMNP-TV-Z])$/.exec(text);
  return match !== null && checkCharacter(match[1]!) === match[2];
}

function checkCharacter(body: string): string {
  const base = ALPHABET.length;
  let sum = 0;
  let factor = 2;
  for (let i = body.length - 1; i >= 0; i -= 1) {
    const addend = factor * ALPHABET.indexOf(body[i]!);
    sum += Math.floor(addend / base) + (addend % base);
    factor = factor === 2 ? 1 : 2;
  }
  return ALPHABET[(base - (sum % base)) % base]!;
}

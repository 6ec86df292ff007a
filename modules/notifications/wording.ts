/** How values read in a message. All of it is plain text; nothing here can start a new line or a new header. */
import type { Money } from '#kernel';

// Everything that a terminal, a mail reader or an SMTP server could take for a line end or a command:
// controls, line and paragraph separators, and the marks that turn the direction of writing around.
// eslint-disable-next-line no-control-regex
const HARMFUL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g;

/** Foreign text on one line, without controls, at most `longest` characters. */
export function oneLine(text: string, longest = 200): string {
  const clean = text.replace(HARMFUL, ' ').replace(/\s+/g, ' ').trim();
  const characters = [...clean];
  return characters.length <= longest ? clean : `${characters.slice(0, longest - 1).join('')}…`;
}

/** What customers call an order or a ticket: the end of its id, which is random, where the beginning is only the time. */
export function shortNumber(id: string): string {
  return id.slice(-8).toUpperCase();
}

const formats = new Map<string, Intl.NumberFormat>();

/** An amount as an American reader writes it, with as many decimals as the currency has: $19.99, ¥500. */
export function amountText(money: Money): string {
  const format = formatOf(money.currency);
  return format.format(decimal(money.amount, format.resolvedOptions().maximumFractionDigits ?? 0));
}

function formatOf(currency: string): Intl.NumberFormat {
  const known = formats.get(currency);
  if (known) return known;
  const made = new Intl.NumberFormat('en-US', { style: 'currency', currency });
  formats.set(currency, made);
  return made;
}

/** Minor units as a decimal string, which Intl formats exactly; a division would pass through a float. */
function decimal(minorUnits: number, digits: number): Intl.StringNumericLiteral {
  const padded = String(minorUnits).padStart(digits + 1, '0');
  const whole = padded.slice(0, padded.length - digits);
  return (digits === 0 ? whole : `${whole}.${padded.slice(-digits)}`) as Intl.StringNumericLiteral;
}

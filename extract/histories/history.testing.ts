/** What may happen to a shop, drawn from a seed before any of it does: things are named by when they came to be, not by their ids. */
import { Random } from '../torture/random.testing.ts';

/** `pick` chooses among the things that there are by then, counted from the first; `of` is who does it. */
export type Step =
  | { readonly act: 'place'; readonly of: number; readonly lines: readonly { readonly product: number; readonly quantity: number }[]; readonly card?: string }
  | { readonly act: 'place again'; readonly pick: number }
  | { readonly act: 'pay'; readonly pick: number; readonly card: string }
  | { readonly act: 'cancel' | 'dispatch' | 'deliver' | 'history'; readonly pick: number }
  | { readonly act: 'refund'; readonly pick: number; readonly amount?: number }
  | { readonly act: 'stock'; readonly product: number; readonly onHand: number }
  | { readonly act: 'adjust'; readonly product: number; readonly delta: number }
  | { readonly act: 'reprice'; readonly product: number; readonly amount: number }
  | { readonly act: 'withdraw' | 'page'; readonly product: number }
  | { readonly act: 'ask'; readonly of: number; readonly about?: number }
  | { readonly act: 'answer' | 'close'; readonly pick: number }
  | { readonly act: 'phone'; readonly of: number; readonly phone: string }
  | { readonly act: 'tell again'; readonly type: string; readonly subscriber: string };

export const PRODUCTS = 5;
export const CUSTOMERS = 3;

const cards = ['tok_visa', 'tok_visa', 'tok_visa', 'tok_declined', 'tok_insufficient_funds', 'tok_timeout'];
const replays = [
  ['orders.order-placed.v1', 'notifications.customer-messages'],
  ['payments.payment-completed.v1', 'orders.fulfilment'],
  ['orders.order-confirmed.v1', 'recommendations.bought-together'],
] as const;
const ANY = 1_000_000;

type Draw = (random: Random) => Step;

const draws: readonly (readonly [weight: number, draw: Draw])[] = [
  [8, (random) => place(random, random.oneOf(cards))],
  [4, (random) => place(random)],
  [1, (random) => ({ act: 'place again', pick: any(random) })],
  [4, (random) => ({ act: 'pay', pick: any(random), card: random.oneOf(cards) })],
  [3, (random) => ({ act: 'cancel', pick: any(random) })],
  [3, (random) => ({ act: 'dispatch', pick: any(random) })],
  [3, (random) => ({ act: 'deliver', pick: any(random) })],
  [1, (random) => ({ act: 'history', pick: any(random) })],
  [3, (random) => ({ act: 'refund', pick: any(random), ...(random.chance(0.6) && { amount: random.between(1, 2_000) }) })],
  [2, (random) => ({ act: 'stock', product: product(random), onHand: random.between(0, 12) })],
  [1, (random) => ({ act: 'adjust', product: product(random), delta: random.oneOf([-5, -1, 1, 5]) })],
  [1, (random) => ({ act: 'reprice', product: product(random), amount: random.between(100, 5_000) })],
  [1, (random) => ({ act: 'page', product: product(random) })],
  [2, (random) => ({ act: 'ask', of: customer(random), ...(random.chance(0.7) && { about: any(random) }) })],
  [1, (random) => ({ act: 'answer', pick: any(random) })],
  [1, (random) => ({ act: 'close', pick: any(random) })],
  [1, (random) => ({ act: 'phone', of: customer(random), phone: `+4420${random.between(10_000_000, 99_999_999)}` })],
  [1, (random) => tellAgain(random)],
];
const deck = draws.flatMap(([weight, draw]) => Array.from({ length: weight }, () => draw));

/** One product is taken out of the shop, late: whoever drew it often would have nothing left to sell. */
export function drawHistory(seed: number, length: number): Step[] {
  const random = new Random(seed);
  const steps = Array.from({ length }, () => random.oneOf(deck)(random));
  return steps.toSpliced(Math.floor(length * 0.8), 0, { act: 'withdraw', product: product(random) });
}

function place(random: Random, card?: string): Step {
  const lines = Array.from({ length: random.between(1, 3) }, () => ({ product: product(random), quantity: random.between(1, 3) }));
  return { act: 'place', of: customer(random), lines, ...(card !== undefined && { card }) };
}

function tellAgain(random: Random): Step {
  const [type, subscriber] = random.oneOf(replays);
  return { act: 'tell again', type, subscriber };
}

const any = (random: Random): number => random.between(0, ANY);
const product = (random: Random): number => random.between(0, PRODUCTS - 1);
const customer = (random: Random): number => random.between(0, CUSTOMERS - 1);

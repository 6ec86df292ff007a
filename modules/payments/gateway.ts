/**
 * What the shop needs of a card processor. Every question carries a key: asked again under the same key, the
 * processor answers what it answered first and moves no money twice. That, and `void`, is all that charging at
 * most once rests on.
 */
import type { Money } from '#kernel';

/** What became of a charge. `voided`: nothing was booked under the key, and nothing ever will be. */
export type Booking =
  | { readonly outcome: 'approved'; readonly transactionId: string; readonly message: string }
  | { readonly outcome: 'declined'; readonly message: string }
  | { readonly outcome: 'voided'; readonly message: string };

export interface ChargeRequest {
  /** Idempotency key, 1 to 255 characters. */
  readonly key: string;
  readonly amount: Money;
  /** Stands for a card; never a card number. Not kept. */
  readonly cardToken: string;
}

export interface RefundRequest {
  readonly key: string;
  /** The approved charge that money is given back from. */
  readonly transactionId: string;
  readonly amount: Money;
}

/**
 * Each call rejects with a GatewayFailure where the answer is not known: the processor could not be reached,
 * broke down or is late. The work may have been done all the same. A call gives up when `signal` aborts.
 */
export interface Gateway {
  /** Authorises and captures in one. */
  charge(request: ChargeRequest, signal: AbortSignal): Promise<Booking>;
  /** What is booked under a key; undefined when nothing is, which may be different a moment later. */
  lookup(key: string, signal: AbortSignal): Promise<Booking | undefined>;
  /** Sees to it that nothing is booked under a key from now on, and answers what became of it. */
  void(key: string, signal: AbortSignal): Promise<Booking>;
  /** Gives money back; resolves once that is certain. */
  refund(request: RefundRequest, signal: AbortSignal): Promise<void>;
}

/** The processor's answer is not known. */
export class GatewayFailure extends Error {
  override readonly name = 'GatewayFailure';
}

/** What a relay and a subscriber say to each other, in process or over a wire. */
import { CallError } from '../contract/errors.ts';
import type { EventEnvelope } from '../contract/types.ts';

/**
 * handled: the effect is committed now or was before. failed: it is not, try again later.
 * held: it was not tried, because an earlier event of its aggregate failed, or one before it took all the time; with an error: what its
 * handler needs cannot be reached, which is no failure of the event's. Either way it has cost no try.
 */
export type DeliveryResult =
  | { readonly outcome: 'handled' }
  | { readonly outcome: 'failed'; readonly error: string }
  | { readonly outcome: 'held'; readonly error?: string };

/**
 * Delivers events to one subscriber; one result per event, in their order. Rejects when it cannot be reached.
 * @param leaving whoever delivers gives up when it is aborted: nothing may be waited for any longer that may never come
 */
export type Deliver = (subscriber: string, events: readonly EventEnvelope[], leaving: AbortSignal) => Promise<DeliveryResult[]>;

/** Which subscribers want events of a type. */
export type Subscriptions = (type: string) => readonly string[];

/** What an attempt comes to that ended in `error`. */
export function notHandled(error: unknown): Exclude<DeliveryResult, { outcome: 'handled' }> {
  return { outcome: error instanceof CallError && error.code === 'UNAVAILABLE' && !error.underWay ? 'held' : 'failed', error: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
}

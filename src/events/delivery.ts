/** What a relay and a subscriber say to each other, in process or over a wire. */
import type { EventEnvelope } from '../contract/types.ts';

/**
 * handled: the effect is committed now or was before. failed: it is not, try again later.
 * held: it was not tried, because an earlier event of its aggregate failed, or one before it took all the time.
 */
export type DeliveryResult =
  | { readonly outcome: 'handled' }
  | { readonly outcome: 'failed'; readonly error: string }
  | { readonly outcome: 'held' };

/** Delivers events to one subscriber; one result per event, in their order. Rejects when it cannot be reached. */
export type Deliver = (subscriber: string, events: readonly EventEnvelope[]) => Promise<DeliveryResult[]>;

/** Which subscribers want events of a type. */
export type Subscriptions = (type: string) => readonly string[];

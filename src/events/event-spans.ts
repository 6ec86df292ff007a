/**
 * Spans of an event's way from the outbox to its handlers, under the span that published it:
 *
 *   publish (src/database/publish-span.ts) --> deliver, one for each try --> process, the handler
 *
 * Events that are handled together, in one transaction, have a span each in the trace of each. What they share, the
 * transaction's statements, is in the trace of the first; the others link to it.
 */
import type { EventEnvelope } from '../contract/types.ts';
import { messagingFacts } from '../database/publish-span.ts';
import type { Span, SpanInit, Tracing } from '../trace/tracing.ts';
import type { Deliver, DeliveryResult } from './delivery.ts';

/** The same delivery with a span for each event; the subscriber gets each with that span in the place of the publisher's. */
export function tracedDelivery(deliver: Deliver, tracing: Tracing): Deliver {
  return async (subscriber, events, leaving) => {
    const spans = events.map((event) => tracing.begin(event, { ...spanOf('deliver', 'deliver', subscriber, event), kind: 'internal' }));
    const handed = events.map((event, place) => inSpanOf(event, spans[place]));
    try {
      const results = await deliver(subscriber, handed, leaving);
      spans.forEach((span, place) => span && settle(span, results[place]));
      return results;
    } catch (error) {
      for (const span of spans) span?.end(error);
      throw error;
    }
  };
}

export function handlingSpans(tracing: Tracing, subscriber: string, events: readonly EventEnvelope[]): (Span | undefined)[] {
  const spans: (Span | undefined)[] = [];
  for (const event of events) {
    const first = spans[0];
    const init = { ...spanOf('process', 'process', subscriber, event), ...(first && { links: [first] }) };
    const batch = events.length > 1 && { 'cleave.batch.size': events.length };
    spans.push(tracing.begin(event, { ...init, attributes: { ...init.attributes, ...batch } }));
  }
  return spans;
}

function spanOf(operation: string, type: string, subscriber: string, { type: eventType, id }: EventEnvelope): SpanInit {
  const attributes = { ...messagingFacts(operation, type, eventType, id), 'messaging.consumer.group.name': subscriber };
  return { name: `${operation} ${eventType}`, kind: 'consumer', attributes };
}

function inSpanOf(event: EventEnvelope, span: Span | undefined): EventEnvelope {
  return span ? { ...event, traceparent: span.traceparent } : event;
}

/** The error is a text with the message in it; only the class in front of it is shown. */
function settle(span: Span, result: DeliveryResult | undefined): void {
  span.set('cleave.delivery.outcome', result?.outcome ?? 'failed');
  if (result?.outcome === 'failed') span.fail(/^\w{1,64}(?=:)/.exec(result.error)?.[0] ?? 'failed');
  span.end();
}

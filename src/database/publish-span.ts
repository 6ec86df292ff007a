/**
 * Spans of events by the semantic conventions for messaging
 * (https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/). An event's type is its destination, a
 * subscriber a consumer group.
 */
import type { Attributes, SpanInit } from '../trace/tracing.ts';

/** What all spans that have to do with an event say of it. */
export function messagingFacts(operation: string, type: string, eventType: string, eventId: string): Attributes {
  return {
    'messaging.system.name': 'pg-boss',
    'messaging.operation.name': operation,
    'messaging.operation.type': type,
    'messaging.destination.name': eventType,
    'messaging.message.id': eventId,
  };
}

/** From the moment when an event is published to the commit that makes it one; the handlers' spans come under it. */
export function publishSpan(eventType: string, eventId: string): SpanInit {
  return { name: `publish ${eventType}`, kind: 'producer', attributes: messagingFacts('publish', 'send', eventType, eventId) };
}

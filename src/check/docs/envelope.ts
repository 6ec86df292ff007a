/** An event as it is stored and delivered, with made-up values. */
import type { TSchema } from '@sinclair/typebox';
import type { EventDefinition } from '../../contract/contract.ts';
import { Timestamp, Uuid } from '../../contract/schemas.ts';
import type { EventEnvelope } from '../../contract/types.ts';
import { exampleOf } from './example.ts';

/** An envelope with the event's example data. */
export function envelopeOf(event: EventDefinition): EventEnvelope {
  const data = exampleOf(event.data) as Record<string, unknown>;
  return {
    id: exampleOf(Uuid) as string,
    type: event.type,
    aggregateId: String(data[event.aggregate]),
    occurredAt: exampleOf(Timestamp) as string,
    data,
    traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    requestId: 'zA9xQ2mV7kLpR4sT',
  };
}

/** JSON Schema of an event's envelope. */
export function envelopeSchema(event: EventDefinition): Record<string, unknown> {
  const required = ['id', 'type', 'aggregateId', 'occurredAt', 'data', 'traceparent', 'requestId'];
  const text = (description: string): Record<string, unknown> => ({ type: 'string', description });
  return {
    type: 'object',
    required,
    properties: {
      id: { ...plain(Uuid), description: 'UUIDv7; the same at each delivery' },
      type: { type: 'string', const: event.type },
      aggregateId: text(`The event's ${event.aggregate}`),
      occurredAt: plain(Timestamp),
      data: plain(event.data),
      traceparent: text('W3C trace context of the work that published it'),
      tracestate: text('What other tracers passed along with it, if anything'),
      requestId: text('The request that led to it'),
    },
  };
}

/** A schema without TypeBox's symbols. */
function plain(schema: TSchema): Record<string, unknown> {
  return JSON.parse(JSON.stringify(schema)) as Record<string, unknown>;
}

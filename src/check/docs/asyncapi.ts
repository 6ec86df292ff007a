/** docs/asyncapi.json: the events for programs, as AsyncAPI 3.0 (https://www.asyncapi.com/docs/reference/specification/v3.0.0). */
import type { EventDefinition } from '../../contract/contract.ts';
import { envelopeOf, envelopeSchema } from './envelope.ts';
import { eventsOf, type ShopModel, subscribersOf } from './model.ts';

export function asyncapiDocument(model: ShopModel): string {
  const events = model.modules.flatMap(({ contract }) => eventsOf(contract).map(([, event]) => event));
  const document = {
    asyncapi: '3.0.0',
    info: {
      title: 'Cleave: events between modules',
      version: model.version,
      description:
        'Each module publishes through the outbox in its own database. One channel per event; deliveries are at least once, in order per aggregate.',
      license: { name: 'MIT', url: 'https://opensource.org/licenses/MIT' },
    },
    defaultContentType: 'application/json',
    channels: Object.fromEntries(events.map((event) => [key(event), channelOf(event)])),
    operations: Object.fromEntries(events.flatMap((event) => operations(event, model))),
    components: {
      messages: Object.fromEntries(events.map((event) => [key(event), message(event)])),
      securitySchemes: {
        role: { type: 'scramSha256', description: 'Each module signs in to its database as its own role, which reaches its own schemas and no others.' },
      },
    },
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** Keys of AsyncAPI may have no dots in them. */
function key({ type }: EventDefinition): string {
  return type.replaceAll('.', '_');
}

function channelOf(event: EventDefinition): unknown {
  return { address: event.type, summary: event.summary, messages: { event: { $ref: `#/components/messages/${key(event)}` } } };
}

function operations(event: EventDefinition, model: ShopModel): [string, unknown][] {
  const channel = `#/channels/${key(event)}`;
  const to = { channel: { $ref: channel }, messages: [{ $ref: `${channel}/messages/event` }], security: [{ $ref: '#/components/securitySchemes/role' }] };
  const publish = { action: 'send', ...to, title: `${event.module} publishes ${event.type}`, summary: event.summary };
  const handle = (module: string): [string, unknown] => [
    `${module}_handles_${key(event)}`,
    { action: 'receive', ...to, title: `${module} handles ${event.type}`, summary: `Reaches ${module} exactly once in effect.` },
  ];
  return [[`${event.module}_publishes_${key(event)}`, publish], ...subscribersOf(model, event.type).map(handle)];
}

function message(event: EventDefinition): unknown {
  return {
    name: event.type,
    title: event.summary,
    contentType: 'application/json',
    payload: envelopeSchema(event),
    examples: [{ name: 'example', payload: envelopeOf(event) }],
  };
}

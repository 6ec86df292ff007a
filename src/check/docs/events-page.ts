/** docs/events.md: every event, who publishes it, who handles it, and what it carries. */
import type { TSchema } from '@sinclair/typebox';
import type { EventDefinition } from '../../contract/contract.ts';
import { envelopeOf } from './envelope.ts';
import { code, codes, generatedNote, page, table } from './markdown.ts';
import { eventsOf, type ShopModel, subscribersOf } from './model.ts';

export function eventsPage(model: ShopModel): string {
  const events = model.modules.flatMap(({ contract }) => eventsOf(contract));
  const rows = events.map(([, { type, module, aggregate, summary }]) => {
    const link = `[${code(type)}](#${anchor(type)})`;
    return [link, module, codes(subscribersOf(model, type)), code(aggregate), summary];
  });
  return page(
    generatedNote,
    '# Events',
    [
      'An event commits with the state change that it reports, reaches every subscriber at least once and has its effect once.',
      'Events of one aggregate reach a subscriber in order. [asyncapi.json](asyncapi.json) says the same to programs.',
    ].join(' '),
    table(['event', 'published by', 'handled by', 'aggregate', 'what happened'], rows),
    ...events.map(([, event]) => section(event, model)),
  );
}

function section(event: EventDefinition, model: ShopModel): string {
  const properties = Object.entries<TSchema>(event.data.properties);
  return [
    `## ${event.type}`,
    event.summary,
    table(
      ['version', 'publisher', 'subscribers', 'aggregate key'],
      [[String(event.version), event.module, codes(subscribersOf(model, event.type)), code(event.aggregate)]],
    ),
    table(
      ['property', 'type', 'required', 'meaning'],
      properties.map(([name, schema]) => [code(name), typeText(schema), isRequired(event, name) ? 'yes' : 'no', schema.description ?? '']),
    ),
    ['```json', JSON.stringify(envelopeOf(event), null, 2), '```'].join('\n'),
  ].join('\n\n');
}

function isRequired({ data }: EventDefinition, property: string): boolean {
  return data.required?.includes(property) === true;
}

/** A schema in a few words: `string`, `integer ≥ 1`, `list of { productId, quantity }`, `string or null`. */
function typeText(schema: TSchema): string {
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => code(String(value))).join(', ');
  if (schema.anyOf) return (schema.anyOf as TSchema[]).map(typeText).join(' or ');
  if (schema.type === 'array') return `list of ${typeText(schema.items as TSchema)}`;
  if (schema.type === 'object') return `{ ${Object.keys(schema.properties as object).join(', ')} }`;
  const least = typeof schema.minimum === 'number' ? ` ≥ ${schema.minimum}` : '';
  return `${String(schema.type)}${least}`;
}

/** As GitHub makes them from headings. */
function anchor(type: string): string {
  return type.replaceAll('.', '');
}

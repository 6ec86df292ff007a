/** Where a request may hold text, as the OpenAPI document has it, and how a text is put there. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { Operation, Schema } from './conformity.testing.ts';

export interface Place {
  readonly in: 'body' | 'query' | 'header';
  /** JSON pointer within that part, as errors name it; the first item stands for all of a list. */
  readonly pointer: string;
  /** Whether the document allows the text there. */
  fits(text: string): boolean;
}

/** What is sent to a route, but for its path. */
export interface Sent {
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object;
}

const ajv = new Ajv2020({ strict: false });

/** All places for text but those in the path, which takes ids alone. */
export function textPlaces({ parameters, body }: Operation): Place[] {
  const named = parameters.flatMap(({ name, in: part, schema }) => (part === 'path' ? [] : placesIn(schema, part, `/${name}`)));
  return [...named, ...(body ? placesIn(body, 'body', '') : [])];
}

function placesIn(schema: Schema, part: Place['in'], pointer: string): Place[] {
  if (isText(schema)) {
    const validate = ajv.compile(schema);
    return [{ in: part, pointer, fits: (text) => validate(text) }];
  }
  const properties = Object.entries(schema.properties ?? {}).flatMap(([name, property]) => placesIn(property, part, `${pointer}/${name}`));
  const inner = (schema.anyOf ?? []).flatMap((each) => placesIn(each, part, pointer));
  return [...properties, ...inner, ...(schema.items ? placesIn(schema.items, part, `${pointer}/0`) : [])];
}

/** Also where it may be null instead. */
function isText({ type, anyOf = [] }: Schema): boolean {
  return type === 'string' || (Array.isArray(type) && type.includes('string')) || (anyOf.length > 0 && anyOf.every((each) => each.type === 'null' || isText(each)));
}

/** The same request, with the text in that place. */
export function withText<S extends Sent>(sent: S, { in: part, pointer }: Place, text: string): S {
  const name = pointer.slice(1);
  if (part === 'query') return { ...sent, query: { ...sent.query, [name]: text } };
  // Headers are bytes: what is not ASCII is sent in UTF-8.
  if (part === 'header') return { ...sent, headers: { ...sent.headers, [name]: Buffer.from(text).toString('latin1') } };
  const body = structuredClone(sent.body ?? {});
  const keys = pointer.split('/').slice(1);
  const parent = keys.slice(0, -1).reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], body);
  (parent as Record<string, unknown>)[keys.at(-1)!] = text;
  return { ...sent, body };
}

/** What stands at a JSON pointer; undefined where there is no such place. */
export function valueAt(value: unknown, pointer: string): unknown {
  return pointer.split('/').slice(1).reduce<unknown>((part, key) => (part as Record<string, unknown> | null | undefined)?.[key], value);
}

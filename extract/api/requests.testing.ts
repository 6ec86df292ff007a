/** Requests made up from the OpenAPI document: what a route asks for, bent in one place or two, or nothing of the kind. */
import fc from 'fast-check';
import type { Operation, Parameter, Schema } from './conformity.testing.ts';
import { contentTypes, headerValues, noise, oddities, pathSegments, queryParts, rawBodies } from './oddities.testing.ts';
import { type Caller, callers } from './world.testing.ts';

export interface MadeUp {
  readonly caller: Caller;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** As it is sent. */
  readonly body: string | undefined;
}

/** Things of the shop that requests may name: ids whatever they are of, and cursors whatever list they are from. */
export interface Known {
  readonly ids: readonly string[];
  readonly cursors: readonly string[];
}

const UUID = /^\^\[0-9a-f/;
const odd = fc.constantFrom(...oddities);

/** Whoever may do most gets furthest into the shop, so they come more often. */
const MOST_ABLE: readonly Caller[] = ['owner', 'admin', 'owner', 'admin'];
/** Longer ones are refused before a route is looked for. */
const LONGEST_URL = 12_000;

export function requestTo(operation: Operation, known: Known): fc.Arbitrary<MadeUp> {
  const { method, path, parameters, body } = operation;
  return fc
    .record({
      caller: fc.constantFrom(...callers, ...MOST_ABLE),
      url: urlOf(path, parameters, known),
      headers: headersOf(parameters),
      sent: method === 'GET' ? fc.constant(NOTHING) : bodyOf(body, known),
    })
    .filter(({ url }) => url.length <= LONGEST_URL)
    .map(({ caller, url, headers, sent }) => ({ caller, method, url, headers: { ...headers, ...sent.headers }, body: sent.body }));
}

/** Mostly what is asked for; a little of what is not. */
function mostly<T>(usual: fc.Arbitrary<T>, unusual: fc.Arbitrary<T>, weight = 7): fc.Arbitrary<T> {
  return fc.oneof({ weight, arbitrary: usual }, { weight: 1, arbitrary: unusual });
}

function urlOf(path: string, parameters: readonly Parameter[], known: Known): fc.Arbitrary<string> {
  const id = mostly(fc.constantFrom(...known.ids).map(anyCase), fc.constantFrom(...pathSegments));
  const query = queryOf(parameters.filter((parameter) => parameter.in === 'query'), known);
  return fc.tuple(id, query).map(([segment, text]) => `${path.replace(/\{\w+\}/, segment)}${text}`);
}

function queryOf(parameters: readonly Parameter[], known: Known): fc.Arbitrary<string> {
  const pairs = parameters.map(({ name, schema }) => sometimes(mostly(valueOf(schema, known), odd, 4).map((value) => pair(name, value)), 4));
  const cursor = fc.oneof(fc.constantFrom(...known.cursors), forgedCursor(known)).map((text) => `cursor=${text}`);
  const extra = mostly(fc.constant<string[]>([]), fc.oneof(fc.constantFrom(...queryParts), cursor).map((text) => [text]), 3);
  return fc.tuple(fc.tuple(...pairs), extra).map(([own, more]) => [...own.flat(), ...more]).map((parts) => (parts.length > 0 ? `?${parts.join('&')}` : ''));
}

/** As a list of one or none. */
function sometimes<T>(value: fc.Arbitrary<T>, freq: number): fc.Arbitrary<T[]> {
  return fc.option(value.map((one) => [one]), { freq, nil: [] });
}

function pair(name: string, value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return `${name}=${encodeURIComponent(text.toWellFormed())}`;
}

/** Of the right make, with anything inside. */
function forgedCursor(known: Known): fc.Arbitrary<string> {
  const part = fc.oneof(fc.constantFrom(...known.ids), fc.constantFrom('newest', 'price', '-price', 'name'), fc.double(), fc.maxSafeInteger(), odd);
  return fc.array(part, { maxLength: 4 }).map((key) => Buffer.from(JSON.stringify(key)).toString('base64url'));
}

function headersOf(parameters: readonly Parameter[]): fc.Arbitrary<Record<string, string>> {
  const names = parameters.filter((parameter) => parameter.in === 'header').map(({ name }) => name);
  const value = fc.constantFrom(...headerValues);
  const given = fc.tuple(...names.map((name) => sometimes(value.map((text) => [name, text] as const), 1)));
  return fc.tuple(given, fc.constantFrom(...noise)).map(([own, more]) => ({ ...Object.fromEntries(own.flat()), ...more }));
}

interface Sent {
  readonly body: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

const NOTHING: Sent = { body: undefined, headers: {} };

function bodyOf(schema: Schema | undefined, known: Known): fc.Arbitrary<Sent> {
  const json: fc.Arbitrary<unknown> = schema ? fc.oneof(valueOf(schema, known), bent(valueOf(schema, known))) : fc.constantFrom({}, { a: 1 });
  const usual = json.map((value) => ({ body: JSON.stringify(value), headers: { 'content-type': 'application/json' } }));
  const unusual = fc.record({ body: fc.constantFrom(...rawBodies), headers: fc.constantFrom(...contentTypes).map((type) => ({ 'content-type': type })) });
  return schema ? mostly(usual, unusual) : mostly(fc.constant(NOTHING), fc.oneof(usual, unusual), 2);
}

/** One property, anywhere, is replaced, removed or joined by one that nobody knows. */
function bent(value: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc.tuple(value, fc.nat(), odd, fc.constantFrom('replace', 'remove', 'add')).map(([whole, at, by, how]) => bend(structuredClone(whole), at, by, how));
}

function bend(whole: unknown, at: number, by: unknown, how: string): unknown {
  const places = placesIn(whole);
  const place = places[at % Math.max(places.length, 1)];
  if (!place) return by;
  if (how === 'remove') delete place.of[place.key];
  else place.of[how === 'add' ? `${place.key}x` : place.key] = by;
  return whole;
}

interface Place {
  readonly of: Record<string, unknown>;
  readonly key: string;
}

function placesIn(value: unknown): Place[] {
  if (value === null || typeof value !== 'object') return [];
  const of = value as Record<string, unknown>;
  return Object.keys(of).flatMap((key) => [{ of, key }, ...placesIn(of[key])]);
}

/** Values that fit a schema, at its bounds as often as not. */
function valueOf(schema: Schema, known: Known): fc.Arbitrary<unknown> {
  const type = typeof schema.type === 'string' ? schema.type : schema.type?.find((each) => each !== 'null');
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map((each) => valueOf(each, known)));
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (type === 'object') return objectOf(schema, known);
  if (type === 'array') return fc.array(valueOf(schema.items!, known), { minLength: schema.minItems ?? 0, maxLength: Math.min(schema.maxItems ?? 3, 3) });
  if (type === 'integer' || type === 'number') return numberOf(schema);
  if (type === 'boolean') return fc.boolean();
  return type === 'string' ? textOf(schema, known) : fc.constant(null);
}

function objectOf({ properties = {}, required = [] }: Schema, known: Known): fc.Arbitrary<unknown> {
  const fields = Object.fromEntries(Object.entries(properties).map(([name, property]) => [name, valueOf(property, known)]));
  return fc.record(fields, { requiredKeys: [...required] });
}

function numberOf({ minimum = -1e9, maximum = 1e9 }: Schema): fc.Arbitrary<number> {
  const small = fc.integer({ min: Math.max(minimum, 1), max: Math.min(maximum, 5) });
  return mostly(small, fc.constantFrom(minimum, maximum, minimum - 1, maximum + 1), 2);
}

function textOf({ pattern, examples, minLength = 0, maxLength = 100 }: Schema, known: Known): fc.Arbitrary<unknown> {
  if (pattern !== undefined && UUID.test(pattern)) return fc.constantFrom(...known.ids).map(anyCase);
  const made = fc.string({ unit: 'grapheme', minLength, maxLength: Math.min(maxLength, minLength + 20) });
  const longest = fc.constantFrom('x'.repeat(maxLength), '中'.repeat(maxLength), `<b>${"'".repeat(Math.max(maxLength - 3, 0))}`, 'x'.repeat(maxLength + 1));
  const free = fc.oneof({ weight: 4, arbitrary: made }, { weight: 1, arbitrary: longest });
  return examples ? mostly(fc.constantFrom(...examples), free, 4) : free;
}

/** Every fifth id is shouted: a UUID is the same in either case. */
function anyCase(id: string): string {
  return id.charCodeAt(id.length - 1) % 5 === 0 ? id.toUpperCase() : id;
}

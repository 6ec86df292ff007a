/**
 * Whether two replies say the same, though they come from two shops: ids, times and what is drawn at random differ, and stand in the
 * same places. An id is known by the place in which its shop mentioned it first, so that mixing two up shows.
 */
import type { Reply } from '#testing';

const ID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi;
/** Mails quote the end of an order's id. */
const END_OF_ID = /\b[0-9A-F]{8}\b/g;
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)/g;
/** Names that the world draws, and random tokens of every kind. */
const RANDOM: readonly (readonly [RegExp, string])[] = [
  [/\bc_[0-9a-f]{10}\b/g, '<user>'],
  [/Product [0-9a-f]{8}\b/g, '<product>'],
  [/eyJ[\w-]+\.[\w-]+\.[\w-]+/g, '<token>'],
  [/\bch_[0-9a-f]{32}\b/g, '<transaction>'],
  [/\bCL[0-9A-Z]{16}\b/g, '<tracking number>'],
];
/** Fields that are made of ids and times, or drawn at random. */
const OPAQUE = new Set(['traceId', 'traceparent', 'requestId', 'nextCursor', 'n', 'kid', 'lagSeconds', 'oldestAgeSeconds']);
/** Say nothing but when, which one of many, and what becomes of a connection, of which a gateway has its own. */
const OF_THE_MOMENT = new Set(['date', 'traceparent', 'connection', 'keep-alive']);

/** One of the two shops, as its replies tell of it. */
export class Side {
  readonly #places = new Map<string, number>();

  /** Gives things that both shops have the same place in both. */
  acquaint(ids: readonly string[]): void {
    for (const id of ids) this.#place(id);
  }

  told({ status, headers, body }: Reply): unknown {
    return { status, headers: this.#headers(headers), body: this.#value('', body) };
  }

  /** What a shop keeps, in no order of its own: ids that no reply has mentioned are told apart from none. */
  kept(value: unknown): unknown {
    return this.#value('', value, (id) => (this.#places.has(id.toLowerCase()) ? `<id ${this.#places.get(id.toLowerCase())}>` : '<id>'));
  }

  #headers(headers: Headers): Record<string, string> {
    const kept = [...headers].filter(([name]) => !OF_THE_MOMENT.has(name));
    return Object.fromEntries(kept.map(([name, value]) => [name, this.#header(name, value)]));
  }

  /** Lengths differ with what is in the body. */
  #header(name: string, value: string): string {
    if (name === 'content-length' || name === 'etag') return '<some>';
    if (name === 'x-request-id' && /^[\w-]{16}$/.test(value)) return '<made>';
    return this.#text(value);
  }

  #value(key: string, value: unknown, named = this.#named): unknown {
    if (OPAQUE.has(key) && value !== null) return '<some>';
    if (typeof value === 'string') return this.#text(value, named);
    if (Array.isArray(value)) return value.map((item) => this.#value(key, item, named));
    if (value === null || typeof value !== 'object') return value;
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, this.#value(name, part, named)]));
  }

  readonly #named = (id: string): string => `<id ${this.#place(id)}>`;

  #text(text: string, named = this.#named): string {
    const known = RANDOM.reduce((all, [pattern, name]) => all.replace(pattern, name), text);
    return known.replace(ID, named).replace(TIME, '<time>').replace(END_OF_ID, (end) => this.#placeOfEnd(end));
  }

  #placeOfEnd(end: string): string {
    const id = [...this.#places.keys()].find((known) => known.endsWith(end.toLowerCase()));
    return id === undefined ? end : `<end of id ${this.#places.get(id)}>`;
  }

  #place(id: string): number {
    const key = id.toLowerCase();
    const known = this.#places.get(key) ?? this.#places.size;
    this.#places.set(key, known);
    return known;
  }
}

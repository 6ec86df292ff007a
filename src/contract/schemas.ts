/** Schemas that every module's contract and routes share: identifiers, money, times, pages. */
import { type Static, type TSchema, Type } from '@sinclair/typebox';

/** UUIDv7 in lower case. Other UUID versions are accepted where a caller names something that may not exist. */
export const Uuid = Type.String({
  pattern: '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$',
  description: 'UUIDv7',
  examples: ['0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10'],
});

/** RFC 3339 in UTC, as `Date.prototype.toISOString` writes it. */
export const Timestamp = Type.String({
  pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d{1,6})?Z$',
  description: 'RFC 3339, UTC',
  examples: ['2026-11-23T08:15:30.000Z'],
});

/** ISO 4217. */
export const Currency = Type.String({ pattern: '^[A-Z]{3}$', description: 'ISO 4217', examples: ['USD'] });

/** An amount in the currency's minor unit (cents for USD): an integer, never a float. */
export const Money = Type.Object(
  { amount: Type.Integer({ minimum: 0, maximum: 1_000_000_000_000 }), currency: Currency },
  { additionalProperties: false, description: 'Minor units of an ISO 4217 currency', examples: [{ amount: 1999, currency: 'USD' }] },
);
export type Money = Static<typeof Money>;

/** Query parameters of every list. */
export const PageQuery = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 20 })),
  // A cursor may carry a name of 200 characters: some 800 bytes of UTF-8, a third more in base64.
  cursor: Type.Optional(Type.String({ minLength: 1, maxLength: 2_048, description: 'Opaque; from `nextCursor`' })),
};

/** A page of a list; `nextCursor` is null on the last one. */
export function Page<Item extends TSchema>(item: Item) {
  return Type.Object({ items: Type.Array(item), nextCursor: Type.Union([Type.String(), Type.Null()], { examples: [null] }) }, { additionalProperties: false });
}

/** An object that refuses properties it does not name. */
export function strict<P extends Parameters<typeof Type.Object>[0]>(properties: P, options: { description?: string; examples?: unknown[] } = {}) {
  return Type.Object(properties, { additionalProperties: false, ...options });
}

/** `Type.Union` of string literals, written as an enum in OpenAPI. */
export function OneOf<const Values extends readonly string[]>(values: Values, options: { description?: string; default?: Values[number]; examples?: readonly Values[number][] } = {}) {
  return Type.Unsafe<Values[number]>({ type: 'string', enum: [...values], ...options });
}

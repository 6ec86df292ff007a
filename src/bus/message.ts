/** What processes say to each other over the bus, and how it fits into PostgreSQL's notifications. */
import { Buffer } from 'node:buffer';
import { Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';

/** `from` is the session (see `session.ts`) that speaks. */
export type Message =
  | { readonly kind: 'beat'; readonly from: string; readonly beat: number }
  | { readonly kind: 'said'; readonly from: string; readonly topic: string; readonly payload: string; readonly confirm?: number }
  | { readonly kind: 'done'; readonly from: string; readonly confirm: number }
  | { readonly kind: 'bye'; readonly from: string }
  | { readonly kind: 'part'; readonly from: string; readonly of: number; readonly part: number; readonly more: boolean; readonly text: string };

const from = Type.String({ minLength: 1 });
const Schema = Type.Union([
  Type.Object({ kind: Type.Literal('beat'), from, beat: Type.Integer() }),
  Type.Object({ kind: Type.Literal('said'), from, topic: Type.String(), payload: Type.String(), confirm: Type.Optional(Type.Integer()) }),
  Type.Object({ kind: Type.Literal('done'), from, confirm: Type.Integer() }),
  Type.Object({ kind: Type.Literal('bye'), from }),
  Type.Object({ kind: Type.Literal('part'), from, of: Type.Integer(), part: Type.Integer(), more: Type.Boolean(), text: Type.String() }),
]);

/** PostgreSQL refuses a notification of 8,000 bytes or more. */
const MAX_BYTES = 7_900;
/** Leaves room for the envelope of a part; base64 needs no escapes in JSON. */
const PART_CHARACTERS = 7_600;

/** One notification for almost everything, several for what is too long for one. They are numbered: PostgreSQL leaves out a notification that a transaction has made already. */
export function encode(message: Message, number: number): string[] {
  const text = JSON.stringify(message);
  if (Buffer.byteLength(text) <= MAX_BYTES) return [text];
  const long = Buffer.from(text).toString('base64');
  const parts: string[] = [];
  for (let at = 0; at < long.length; at += PART_CHARACTERS) {
    const more = at + PART_CHARACTERS < long.length;
    parts.push(JSON.stringify({ kind: 'part', from: message.from, of: number, part: parts.length, more, text: long.slice(at, at + PART_CHARACTERS) } satisfies Message));
  }
  return parts;
}

/** Puts parts together again. They were sent by one transaction, so they arrive all, in order, and nothing comes between. */
export class Decoder {
  readonly #parts = new Map<string, { of: number; text: string }>();

  /** The message that this notification completes; undefined for a part, and for what is none of ours. */
  decode(text: string): Message | undefined {
    const message = parse(text);
    if (message?.kind !== 'part') return message;
    const begun = this.#parts.get(message.from);
    const joined = (begun?.of === message.of ? begun.text : '') + message.text;
    if (message.more) {
      this.#parts.set(message.from, { of: message.of, text: joined });
      return undefined;
    }
    this.#parts.delete(message.from);
    const whole = parse(Buffer.from(joined, 'base64').toString('utf8'));
    return whole?.kind === 'part' ? undefined : whole;
  }
}

/** Whoever may connect to the database may notify, so what arrives is checked like any other input. */
function parse(text: string): Message | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return Value.Check(Schema, value) ? value : undefined;
  } catch {
    return undefined;
  }
}

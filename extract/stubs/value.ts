/**
 * Values that fit a schema, made up from what the schema says: its examples, default, constant or enumeration, else something of its
 * type. The same question gets the same answer, and what it named comes back in it, so that answers fit questions.
 */
import { createHash } from 'node:crypto';
import type { TSchema } from '@sinclair/typebox';
import { Uuid } from '../../src/contract/schemas.ts';
import { violationOf } from '../../src/contract/validate.ts';
import { sampleTexts } from './sample-texts.ts';

/** What is known while a value is made up. */
export interface Question {
  /** What was asked; fields of these names come back where they fit. */
  readonly input: Readonly<Record<string, unknown>>;
  /** Fields whose values are known wherever they stand, e.g. whose orders these are. */
  readonly known: Readonly<Record<string, unknown>>;
  /** Tells one question from another. */
  readonly seed: string;
}

interface Described {
  readonly type?: string;
  readonly pattern?: string;
  readonly examples?: readonly unknown[];
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly TSchema[];
  readonly properties?: Readonly<Record<string, TSchema>>;
  readonly required?: readonly string[];
  readonly items?: TSchema;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
}

/** Pages that come after another one are empty, so that whoever reads to the end comes to it. */
const LATER_PAGE = ['after', 'cursor'];
const FEW = 2;

/** @throws TypeError where nothing fits: the schema lacks an example */
export function valueFor(schema: TSchema, question: Question): unknown {
  const value = new Maker(question).make(schema, { path: '', name: '', isTop: true });
  const violation = violationOf(schema, value);
  if (violation) throw new TypeError(`nothing that fits could be made up at "${violation.path}" (${violation.message}): add examples to the schema`);
  return value;
}

interface Spot {
  readonly path: string;
  /** Of the nearest property. */
  readonly name: string;
  /** Of the answer itself, not of an item of a list in it. */
  readonly isTop: boolean;
}

class Maker {
  readonly #question: Question;

  constructor(question: Question) {
    this.#question = question;
  }

  make(schema: TSchema, spot: Spot): unknown {
    const described = schema as Described;
    if (described.type === 'object') return this.#object(described, spot);
    if (described.pattern === Uuid.pattern) return this.#uuid(spot);
    const [given] = givenBy(described);
    if (given !== undefined) return structuredClone(given);
    if (described.anyOf) return this.make(described.anyOf[0]!, spot);
    return this.#ofType(described, schema, spot);
  }

  #object({ properties, required = [], examples = [] }: Described, spot: Spot): unknown {
    // A record, or what several schemas say together: its members have no names here.
    if (!properties) return structuredClone(examples[0] ?? {});
    const example = (examples[0] ?? {}) as Record<string, unknown>;
    const entries = Object.entries(properties).flatMap(([name, property]) => {
      const known = this.#known(name, property, spot);
      if (known !== undefined) return [[name, structuredClone(known)]];
      if (name in example) return [[name, structuredClone(example[name])]];
      return required.includes(name) ? [[name, this.make(property, { ...spot, path: `${spot.path}/${name}`, name })]] : [];
    });
    return Object.fromEntries(entries);
  }

  /** What the question says of a field, where that fits. */
  #known(name: string, schema: TSchema, { isTop }: Spot): unknown {
    const { input, known } = this.#question;
    const candidates = [isTop ? input[name] : undefined, isTop && name === 'id' ? onlyId(input) : undefined, known[name]];
    return candidates.find((value) => value !== undefined && !violationOf(schema, value));
  }

  #ofType({ type, items, minimum, maximum, minItems = 0, maxItems = FEW }: Described, schema: TSchema, spot: Spot): unknown {
    switch (type) {
      case 'array':
        return items ? this.#array(items, { minItems, maxItems }, spot) : [];
      case 'integer':
      case 'number':
        return Math.min(Math.max(minimum ?? 1, 1), maximum ?? Number.POSITIVE_INFINITY);
      case 'boolean':
        return false;
      case 'null':
        return null;
      default:
        return sampleTexts(spot.name).find((text) => !violationOf(schema, text)) ?? spot.name;
    }
  }

  /** One item for each that the question names, as `ids` does; else a few. */
  #array(items: TSchema, { minItems, maxItems }: { minItems: number; maxItems: number }, spot: Spot): unknown[] {
    const { input } = this.#question;
    const isLater = LATER_PAGE.some((name) => input[name] !== undefined);
    const named = spot.isTop && !isLater ? namedItems(input, items) : undefined;
    if (named) return named.values.map((value, n) => ({ ...(this.make(items, { ...spot, path: `${spot.path}/${n}`, isTop: false }) as object), [named.field]: value }));
    const limit = typeof input['limit'] === 'number' ? input['limit'] : FEW;
    const wanted = spot.isTop ? (isLater ? 0 : Math.min(FEW, limit, maxItems)) : 1;
    return Array.from({ length: Math.max(wanted, minItems) }, (_, n) => this.make(items, { ...spot, path: `${spot.path}/${n}`, isTop: false }));
  }

  /** A UUIDv7 by its form; the time in it is made up as well. */
  #uuid({ path }: Spot): string {
    const hex = createHash('sha256').update(`${this.#question.seed} ${path}`).digest('hex');
    return `0198${hex.slice(0, 4)}-${hex.slice(4, 8)}-7${hex.slice(8, 11)}-8${hex.slice(11, 14)}-${hex.slice(14, 26)}`;
  }
}

function givenBy({ examples = [], default: preset, const: constant, enum: values = [] }: Described): unknown[] {
  return [...examples, preset, constant, ...values].filter((value) => value !== undefined);
}

/** Of a question that names one thing, e.g. `{ userId }`: what is answered is about that. */
function onlyId(input: Question['input']): unknown {
  const ids = Object.keys(input).filter((name) => name.endsWith('Id'));
  return ids.length === 1 ? input[ids[0]!] : undefined;
}

/** `ids` and the like in the question, where items have an `id`. */
function namedItems(input: Question['input'], items: TSchema): { field: string; values: unknown[] } | undefined {
  const { properties = {} } = items as Described;
  for (const field of Object.keys(properties)) {
    const values = input[`${field}s`];
    if (Array.isArray(values)) return { field, values: [...new Set(values)] };
  }
  return undefined;
}

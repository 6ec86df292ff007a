/** What a setting's schema may say beyond JSON Schema, and how its text from the environment becomes a value. */
import { OptionalKind, type TSchema } from '@sinclair/typebox';
import { Ajv } from 'ajv';
import { formatDuration, parseDuration } from './duration.ts';

export interface SettingSchema extends TSchema {
  readonly type?: 'string' | 'integer' | 'number' | 'boolean' | 'array';
  readonly enum?: readonly string[];
  readonly items?: SettingSchema;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  /** With `format: 'url'`: schemes that are taken. */
  readonly protocols?: readonly string[];
  /** The value is a secret and is never printed. */
  readonly secret?: boolean;
  /** Milliseconds, may be written as `30m`; see `Duration`. */
  readonly duration?: boolean;
  /** Words for what is expected, where the schema alone would not make a readable sentence. */
  readonly expected?: string;
  /**
   * What is wrong with a text that the rest of the schema takes: words that follow the setting's name and never quote a
   * secret, e.g. `has 1024 bits; at least 2048 are needed`. Undefined when nothing is.
   */
  readonly complaint?: (text: string) => string | undefined;
}

/** What a whole schema of settings may say beyond JSON Schema. */
export interface SettingsSchema {
  /** Sentences about settings that are good alone, but not together. */
  readonly contradictions?: (settings: never) => string[];
}

const anyText = {} as SettingSchema;
const ajv = new Ajv({ strict: false, validateFormats: false, meta: false, validateSchema: false });

/** The value that a text of the environment stands for, or undefined when the schema does not take it. */
export function convert(schema: SettingSchema, text: string): unknown {
  const value = cast(schema, text.trim());
  return value !== undefined && ajv.validate(schema, value) && isUrlIfAsked(schema, value) ? value : undefined;
}

function cast(schema: SettingSchema, text: string): unknown {
  if (schema.duration) return parseDuration(text);
  switch (schema.type) {
    case 'integer':
      return /^-?\d+$/.test(text) && Number.isSafeInteger(Number(text)) ? Number(text) : undefined;
    case 'number':
      return text !== '' && Number.isFinite(Number(text)) ? Number(text) : undefined;
    case 'boolean':
      return { true: true, 1: true, false: false, 0: false }[text];
    case 'array':
      return castAll(schema.items ?? anyText, text);
    default:
      return text;
  }
}

function castAll(items: SettingSchema, text: string): unknown[] | undefined {
  const values = text.split(',').map((part) => cast(items, part.trim()));
  return values.includes(undefined) ? undefined : values;
}

function isUrlIfAsked(schema: SettingSchema, value: unknown): boolean {
  if (schema['format'] !== 'url') return true;
  const url = URL.parse(String(value));
  return url !== null && (!schema.protocols || schema.protocols.includes(url.protocol.slice(0, -1)));
}

/** Words for what a setting takes, e.g. `a whole number from 0 to 65535`. */
export function expectation(schema: SettingSchema): string {
  if (schema.expected) return schema.expected;
  if (schema.enum) return `one of ${schema.enum.join(', ')}`;
  if (schema.duration) return `a duration such as 500ms, 30s, 30m or 24h${range(schema, formatDuration)}`;
  switch (schema.type) {
    case 'integer':
      return `a whole number${range(schema, String)}`;
    case 'number':
      return `a number${range(schema, String)}`;
    case 'boolean':
      return 'true or false';
    case 'array':
      return `a list with commas between, each ${expectation(schema.items ?? anyText)}`;
    default:
      return textExpectation(schema);
  }
}

function range({ minimum, maximum }: SettingSchema, write: (bound: number) => string): string {
  if (minimum !== undefined && maximum !== undefined) return ` from ${write(minimum)} to ${write(maximum)}`;
  if (minimum !== undefined) return ` of at least ${write(minimum)}`;
  return maximum === undefined ? '' : ` of at most ${write(maximum)}`;
}

function textExpectation(schema: SettingSchema): string {
  const schemes = schema.protocols?.map((name) => `${name}://`).join(' or ');
  if (schema['format'] === 'url') return schemes ? `a URL that begins with ${schemes}` : 'a URL';
  if (schema.pattern) return `text that matches ${schema.pattern}`;
  const { minLength: least, maxLength: most } = schema;
  if (least !== undefined && most !== undefined) return `text of ${least} to ${most} characters`;
  if (least !== undefined) return least > 1 ? `text of at least ${least} characters` : 'text that is not empty';
  return most === undefined ? 'text' : `text of at most ${most} characters`;
}

/** How a value is written in the environment. */
export function written(schema: SettingSchema, value: unknown): string {
  if (schema.duration) return formatDuration(value as number);
  return Array.isArray(value) ? value.join(',') : String(value);
}

/** A value to show: the schema's own example, its default, or undefined. */
export function example(schema: SettingSchema): string | undefined {
  const examples: readonly unknown[] = schema.examples ?? [];
  const shown = examples[0] ?? schema.default ?? schema.enum?.[0];
  return shown === undefined ? undefined : written(schema, shown);
}

export function isOptional(schema: TSchema): boolean {
  return OptionalKind in schema;
}

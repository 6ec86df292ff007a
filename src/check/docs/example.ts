/** An example of what a schema describes, always the same one. */
import type { TSchema } from '@sinclair/typebox';

interface Described {
  readonly type?: string;
  readonly examples?: readonly unknown[];
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly TSchema[];
  readonly properties?: Readonly<Record<string, TSchema>>;
  readonly items?: TSchema;
  readonly minimum?: number;
  readonly minItems?: number;
  readonly minLength?: number;
}

/** The schema's own example where it has one, else the simplest value of its type. */
export function exampleOf(schema: TSchema): unknown {
  const { examples, default: preset, const: constant, enum: values, anyOf } = schema as Described;
  const given = [...(examples ?? []), preset, constant, ...(values ?? [])].find((value) => value !== undefined);
  if (given !== undefined) return given;
  return anyOf ? exampleOf(anyOf[0]!) : exampleOfType(schema as Described);
}

function exampleOfType({ type, properties, items, minimum, minItems, minLength }: Described): unknown {
  switch (type) {
    case 'object':
      return Object.fromEntries(Object.entries(properties ?? {}).map(([key, property]) => [key, exampleOf(property)]));
    case 'array':
      return items && (minItems ?? 1) > 0 ? [exampleOf(items)] : [];
    case 'integer':
    case 'number':
      return Math.max(minimum ?? 1, 1);
    case 'boolean':
      return true;
    case 'null':
      return null;
    default:
      return 'text'.padEnd(minLength ?? 0, '.');
  }
}

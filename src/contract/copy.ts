/**
 * Compiles a copier from a schema. What crosses a contract in process is a copy, so that caller and callee
 * never share mutable state (invariant I2). A compiled copier takes 0.1 to 0.3 µs for a small object, where
 * structuredClone takes 3 to 6.
 */
import type { TSchema } from '@sinclair/typebox';

export type Copier = (value: unknown) => unknown;

interface Node {
  type?: string;
  properties?: Record<string, TSchema>;
  required?: string[];
  items?: TSchema;
  anyOf?: TSchema[];
  enum?: unknown[];
  const?: unknown;
  patternProperties?: Record<string, TSchema>;
  additionalProperties?: unknown;
}

const PRIMITIVES = new Set(['string', 'number', 'integer', 'boolean', 'null']);

/** @returns a function that copies values which have already been validated against the schema */
export function compileCopier(schema: TSchema): Copier {
  const node = schema as Node;
  if (isPrimitive(node)) return (value) => value;
  if (node.anyOf) return unionCopier(node.anyOf);
  if (node.type === 'array' && node.items) return arrayCopier(node.items);
  if (node.type === 'object' && node.properties) return objectCopier(node);
  return (value) => structuredClone(value);
}

function isPrimitive(node: Node): boolean {
  return node.const !== undefined || node.enum !== undefined || (node.type !== undefined && PRIMITIVES.has(node.type));
}

function unionCopier(members: TSchema[]): Copier {
  const composite = members.filter((member) => !isPrimitive(member as Node));
  if (composite.length === 0) return (value) => value;
  const copy = composite.length === 1 ? compileCopier(composite[0]!) : (value: unknown) => structuredClone(value);
  return (value) => (value !== null && typeof value === 'object' ? copy(value) : value);
}

function arrayCopier(items: TSchema): Copier {
  const copy = compileCopier(items);
  return (value) => (value as unknown[]).map((item) => copy(item));
}

/** Spreading keeps the hidden class; only what is composite is copied one by one. */
function objectCopier(node: Node): Copier {
  if (node.additionalProperties !== false) return (value) => structuredClone(value);
  const entries = Object.entries(node.properties!);
  const composite = entries.filter(([, schema]) => !isPrimitive(schema as Node)).map(([key, schema]) => [key, compileCopier(schema)] as const);
  const optional = Object.keys(node.properties!).filter((key) => !node.required?.includes(key));
  return (value) => {
    const copy: Record<string, unknown> = { ...(value as object) };
    for (const [key, copier] of composite) if (copy[key] !== undefined) copy[key] = copier(copy[key]);
    // JSON has no undefined: a property that is not there must not be there as a key either.
    for (const key of optional) if (copy[key] === undefined && key in copy) delete copy[key];
    return copy;
  };
}

/** Compiled validation of contract values; the same engine (ajv) that the routes use. */
import type { TSchema } from '@sinclair/typebox';
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { countOnlyWhereItMatters } from './text-length.ts';

const ajv = countOnlyWhereItMatters(new Ajv({ allErrors: false, strict: false, meta: false, validateSchema: false }));
const compiled = new WeakMap<TSchema, ValidateFunction>();

export interface Violation {
  /** JSON pointer of the value that does not fit; empty for the whole. */
  readonly path: string;
  readonly message: string;
}

/** @returns undefined when the value fits */
export function violationOf(schema: TSchema, value: unknown): Violation | undefined {
  const validate = validatorOf(schema);
  if (validate(value)) return undefined;
  return describe(validate.errors![0]!);
}

export function validatorOf(schema: TSchema): ValidateFunction {
  const known = compiled.get(schema);
  if (known) return known;
  const validate = ajv.compile(schema);
  compiled.set(schema, validate);
  return validate;
}

function describe(error: ErrorObject): Violation {
  const extra = error.keyword === 'additionalProperties' ? `: ${String(error.params['additionalProperty'])}` : '';
  return { path: error.instancePath, message: `${error.message}${extra}` };
}

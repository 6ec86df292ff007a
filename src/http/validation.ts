/**
 * Validates what arrives (invariant I8): unknown fields and parameters are refused, never dropped, and types are
 * converted only where HTTP has none, in the path and the query.
 */
import { Ajv, type ErrorObject, type Options, type ValidateFunction } from 'ajv';
import type { FastifySchemaCompiler } from 'fastify';
import type { FastifySchemaValidationError } from 'fastify/types/schema.js';
import { CallError } from '../contract/errors.ts';
import { countOnlyWhereItMatters } from '../contract/text-length.ts';

/**
 * `verbose` hands the schema to the messages. `allErrors` costs up to 20 ms for 100 KiB of nothing but mistakes,
 * which the body's limit bounds, and saves honest clients a request per mistake.
 */
const options: Options = {
  allErrors: true,
  verbose: true,
  strict: true,
  // TypeBox makes the schemas, and the OpenAPI document is checked with all of them in it: compiling the schema of schemas takes 25 ms of a start.
  meta: false,
  validateSchema: false,
  allowUnionTypes: true,
  strictRequired: false,
  useDefaults: true,
  removeAdditional: false,
};

/**
 * Compiles a route's schemas: one engine for JSON, which has types, one for what comes as text. Text converts to Infinity
 * too, which ajv's strict numbers would let slip past `maximum`: they compare finite numbers only.
 */
export function createValidatorCompiler(): FastifySchemaCompiler<object> {
  const typed = countOnlyWhereItMatters(new Ajv({ ...options, coerceTypes: false }));
  const textual = countOnlyWhereItMatters(new Ajv({ ...options, coerceTypes: true, strictNumbers: false }));
  const compiled = new Map<object, ValidateFunction>();
  return ({ schema, httpPart }) => {
    const known = compiled.get(schema);
    if (known) return known;
    const validate = (httpPart === 'body' ? typed : textual).compile(schema);
    compiled.set(schema, validate);
    return validate;
  };
}

const MAX_REPORTED = 20;

/** Fastify's hook for the error of a failed validation. */
export function validationError(errors: FastifySchemaValidationError[], part: string): CallError {
  const places = (errors as ErrorObject[]).filter(({ keyword }) => keyword !== 'if').slice(0, MAX_REPORTED);
  return new CallError('VALIDATION_FAILED', `the ${PART_NAMES[part] ?? part} ${part === 'headers' ? 'do' : 'does'} not fit: see errors`, { errors: places.map(describe) });
}

const PART_NAMES: Readonly<Record<string, string>> = { querystring: 'query', params: 'path' };

const MAX_NAME = 100;

interface Place {
  readonly path: string;
  readonly message: string;
}

/** JSON pointer (RFC 6901) of what is wrong, the missing or the unknown property included. */
function describe(error: ErrorObject): Place {
  const { keyword, instancePath, params, parentSchema } = error;
  const { missingProperty, additionalProperty, allowedValues } = params as Record<string, unknown>;
  if (keyword === 'required') return { path: pointer(instancePath, missingProperty), message: 'is missing' };
  if (keyword === 'additionalProperties') return { path: pointer(instancePath, additionalProperty), message: 'is not known here' };
  const meaning = (parentSchema as { description?: string } | undefined)?.description;
  if (keyword === 'pattern' && meaning) return { path: instancePath, message: `must be of the form: ${meaning}` };
  if (keyword === 'enum') return { path: instancePath, message: `must be one of ${(allowedValues as unknown[]).join(', ')}` };
  return { path: instancePath, message: error.message ?? 'does not fit' };
}

/** The JSON pointer of a property. What a client calls its fields is quoted, but not at any length. */
export function pointer(parent: string, property: unknown): string {
  return `${parent}/${String(property).slice(0, MAX_NAME).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

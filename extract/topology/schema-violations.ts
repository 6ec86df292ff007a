/** What does not fit a schema, each as a sentence with its place. */
import type { TSchema } from '@sinclair/typebox';
import { Ajv, type ErrorObject } from 'ajv';
import type { Mistake } from './topology-rules.ts';

export function violationsOf(schema: TSchema, value: unknown): Mistake[] {
  const ajv = new Ajv({ allErrors: true, strict: false, verbose: true });
  const validate = ajv.compile(schema);
  return validate(value) ? [] : validate.errors!.map(mistake);
}

function mistake(error: ErrorObject): Mistake {
  const path = error.instancePath.split('/').slice(1).map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
  const place = path.length === 0 ? 'the topology' : path.join('.');
  const { additionalProperty, missingProperty, allowedValues } = error.params as Record<string, unknown>;
  if (error.keyword === 'additionalProperties') return { path: [...path, String(additionalProperty)], message: `${place} has no property ${String(additionalProperty)}; it has ${known(error)}` };
  if (error.keyword === 'required') return { path, message: `${place} lacks ${String(missingProperty)}` };
  if (error.keyword === 'enum') return { path, message: `${place} is ${JSON.stringify(error.data)}, but must be one of ${(allowedValues as unknown[]).join(', ')}` };
  if (error.keyword === 'pattern') return { path, message: `${place} is ${JSON.stringify(error.data)}, but must be ${String((error.parentSchema as { description?: string }).description ?? 'of another form')}` };
  return { path, message: `${place} ${error.message}` };
}

function known(error: ErrorObject): string {
  return Object.keys((error.parentSchema as { properties?: object }).properties ?? {}).join(', ');
}

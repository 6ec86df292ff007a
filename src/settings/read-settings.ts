/** Settings come from the environment and are checked against a schema before anything else starts. */
import type { Static, TObject } from '@sinclair/typebox';
import { convert, example, expectation, isOptional, type SettingSchema, type SettingsSchema } from './setting-schema.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Either every setting of the schema, or one sentence for each bad one. */
export type SettingsResult<S extends TObject> =
  | { readonly value: Static<S>; readonly problems?: never }
  | { readonly problems: string[]; readonly value?: never };

const MAX_SHOWN = 60;

/**
 * Reads the settings that `schema` names. A variable that is absent or empty takes its default; others that the
 * environment holds are ignored. Values of settings marked `secret: true` are never part of a sentence.
 */
export function readSettings<S extends TObject>(schema: S, env: Environment): SettingsResult<S> {
  const value: Record<string, unknown> = {};
  const problems: string[] = [];
  for (const [name, property] of Object.entries(schema.properties as Record<string, SettingSchema>)) {
    const text = env[name]?.trim() ? env[name] : undefined;
    const setting = text === undefined ? property.default : convert(property, text);
    const complaint = text !== undefined && typeof setting === 'string' ? property.complaint?.(setting) : undefined;
    if (complaint !== undefined) problems.push(`${name} ${complaint}.`);
    else if (setting !== undefined) value[name] = setting;
    else if (text !== undefined || !isOptional(property)) problems.push(problem(name, property, text));
  }
  if (problems.length === 0) problems.push(...((schema as SettingsSchema).contradictions?.(value as never) ?? []));
  return problems.length > 0 ? { problems } : { value: value as Static<S> };
}

function problem(name: string, schema: SettingSchema, text: string | undefined): string {
  const shown = example(schema);
  const hint = shown === undefined ? '' : `, for example ${name}=${shown}`;
  if (text === undefined) return `${name} is not set: it must be ${expectation(schema)}${hint}.`;
  const given = schema.secret ? 'has a value (not shown) that does not fit' : `is ${JSON.stringify(shorten(text))}`;
  return `${name} ${given}: it must be ${expectation(schema)}${hint}.`;
}

function shorten(text: string): string {
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}

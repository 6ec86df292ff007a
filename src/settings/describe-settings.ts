/** The table of all settings for the documentation, made from the schemas so that it cannot drift. */
import type { TObject } from '@sinclair/typebox';
import { expectation, isOptional, type SettingSchema, written } from './setting-schema.ts';

/**
 * @param schemas settings by owner: `kernel` and the modules' names
 * @returns a Markdown table; owners as given, settings as declared
 */
export function describeSettings(schemas: Readonly<Record<string, TObject>>): string {
  const rows = Object.entries(schemas).flatMap(([owner, schema]) =>
    Object.entries(schema.properties as Record<string, SettingSchema>).map(([name, property]) => row(owner, name, property)),
  );
  return ['| setting | of | takes | default | what it does |', '|---|---|---|---|---|', ...rows, ''].join('\n');
}

function row(owner: string, name: string, schema: SettingSchema): string {
  const cells = [`\`${name}\``, owner, expectation(schema), defaultOf(schema), schema.description ?? ''];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function defaultOf(schema: SettingSchema): string {
  if (schema.default === undefined) return isOptional(schema) ? '–' : 'required';
  const shown = schema.secret ? '(secret)' : written(schema, schema.default);
  return shown === '' ? '–' : `\`${shown}\``;
}

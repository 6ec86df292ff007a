/** One check over the settings of the kernel and of every module, so that all mistakes are named at once. */
import type { TObject } from '@sinclair/typebox';
import { nearMiss } from './near-miss.ts';
import { type Environment, readSettings } from './read-settings.ts';

export interface SettingsCheck {
  /** Values by owner; complete only without problems. */
  readonly values: Readonly<Record<string, Record<string, unknown>>>;
  /** A sentence for each bad setting; a setting that two owners read is named once. */
  readonly problems: readonly string[];
  /** A sentence for each variable that looks like a misspelt setting. */
  readonly warnings: readonly string[];
}

/** @param schemas settings by owner: `kernel` and the modules' names */
export function checkSettings(schemas: Readonly<Record<string, TObject>>, env: Environment): SettingsCheck {
  const values: Record<string, Record<string, unknown>> = {};
  const problems = new Set<string>();
  for (const [owner, schema] of Object.entries(schemas)) {
    const result = readSettings(schema, env);
    if (result.problems) for (const problem of result.problems) problems.add(problem);
    else values[owner] = result.value;
  }
  const known = Object.values(schemas).flatMap((schema) => Object.keys(schema.properties));
  return { values, problems: [...problems], warnings: misspelt(known, env) };
}

function misspelt(known: readonly string[], env: Environment): string[] {
  return Object.keys(env).flatMap((name) => {
    const meant = known.includes(name) ? undefined : nearMiss(name, known);
    return meant === undefined || env[meant] ? [] : [`${name} is no setting and is ignored; did you mean ${meant}?`];
  });
}

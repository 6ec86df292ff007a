/** A command of `npm run extract`, and how its arguments are read. */
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { StartError } from '../src/settings/start-error.ts';

export interface Command {
  readonly name: string;
  /** One line. */
  readonly summary: string;
  /** What `--help` prints: usage, options, examples, exit codes. */
  readonly help: string;
  /** @returns the exit code; undefined where the process lives on */
  run(args: readonly string[]): Promise<number | undefined>;
}

/** What it was called with makes no sense. */
export const EXIT_USAGE = 2;

export class UsageError extends StartError {}

export interface Arguments {
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
  readonly positionals: readonly string[];
}

/** @throws UsageError for an unknown option, or one that lacks its value */
export function readArguments(args: readonly string[], options: NonNullable<ParseArgsConfig['options']>, command: string): Arguments {
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
    return { values: values as Arguments['values'], positionals };
  } catch (error) {
    throw new UsageError((error as Error).message.replace(/^Unknown option '([^']*)'.*$/, 'there is no option $1'), `See npm run extract -- ${command} --help.`);
  }
}

/** @throws UsageError for a name that is no module */
export function requireModules(names: readonly string[], known: readonly string[]): void {
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new UsageError(`there is no module ${unknown.join(', ')}`, `There are ${known.join(', ')}.`);
}

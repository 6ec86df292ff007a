/** What `npm run torture` takes on its command line. */
import { parseArgs } from 'node:util';
import { type Command, commands } from './commands.testing.ts';
import { freshSeed } from './random.testing.ts';

export interface Asked {
  readonly name: string;
  readonly command: Command;
  readonly seed: number;
  readonly values: Readonly<Record<string, number>>;
}

/** @throws TypeError that says what is wrong, for the user to read; `help` when that was asked for */
export function readArguments(args: readonly string[]): Asked | 'help' {
  const [name = '', ...rest] = args;
  if (args.includes('--help') || name === 'help') return 'help';
  const command = commands[name];
  if (!command) throw new TypeError(`${name === '' ? 'no command was given' : `there is no command ${JSON.stringify(name)}`}; there are ${Object.keys(commands).join(', ')}`);
  const names = [...Object.keys(command.options), 'seed'];
  const { values } = parseArgs({ args: [...rest], options: Object.fromEntries(names.map((option) => [option, { type: 'string' as const }])) });
  const numbers = Object.entries(command.options).map(([option, { initial }]) => [option, values[option] === undefined ? initial : numberIn(option, values[option])] as const);
  return { name, command, seed: values['seed'] === undefined ? freshSeed() : numberIn('seed', values['seed']), values: Object.fromEntries(numbers) };
}

export function usage(): string {
  const lines = Object.entries(commands).flatMap(([name, { what, options }]) => [
    `  ${name.padEnd(14)}${what}`,
    ...Object.entries(options).map(([option, { initial, what: means }]) => `    --${option.padEnd(12)}${means} (${initial})`),
  ]);
  return `npm run torture -- <command> [options]

${lines.join('\n')}

  --seed n          draws as the run did that printed this seed
  --help            this

Ends with 0 when everything held, with 1 when something did not, with 2 when it was asked for what it does not know.
DATABASE_URL names a PostgreSQL to use, with a login that may create databases and roles; an embedded one runs otherwise.
See docs/guides/torture.md.`;
}

function numberIn(name: string, text: string | boolean | undefined): number {
  const number = Number(text);
  if (text !== '' && Number.isFinite(number) && number >= 0) return number;
  throw new TypeError(`--${name} is ${JSON.stringify(text)}, but must be a number of 0 or more`);
}

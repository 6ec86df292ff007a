/** `npm run torture`: does to the shop what production will do one day, and looks whether its promises hold. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Asked, readArguments, usage } from './arguments.testing.ts';
import type { Finding, Result } from './result.testing.ts';

const MOST_SHOWN = 10;
const startedAt = performance.now();

process.exitCode = await main();

async function main(): Promise<number> {
  const asked = understood();
  if (typeof asked === 'number') return asked;
  const { name, command, seed, values } = asked;
  say(`torture ${name}, seed ${seed}${Object.entries(values).map(([option, value]) => `, ${option} ${value}`).join('')}`);
  const result = await command.run({ seed, value: (option) => values[option]!, progress });
  say(`\n${result.findings.map(shown).join('\n')}\n`);
  for (const figure of result.figures) say(`  ${figure}`);
  return verdict(asked, result);
}

function understood(): Asked | number {
  try {
    const asked = readArguments(process.argv.slice(2));
    if (asked !== 'help') return asked;
    say(usage());
    return 0;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    process.stderr.write(`${error.message}\n\n${usage()}\n`);
    return 2;
  }
}

function verdict(asked: Asked, { findings, journal }: Result): number {
  const broken = findings.filter(({ violations }) => violations.length > 0);
  const { name, seed } = asked;
  const took = `${((performance.now() - startedAt) / 1_000).toFixed()} s`;
  if (broken.length === 0) {
    say(`\nAll of it held, in ${took}. Again: ${again(asked)}`);
    return 0;
  }
  say(`\n${broken.length} of ${findings.length} claims did not hold, in ${took}. Again: ${again(asked)}`);
  if (journal) {
    const file = join(tmpdir(), `torture-${name}-${seed}.json`);
    journal.write(file);
    say(`What was asked for and answered: ${file}`);
  }
  return 1;
}

/** The command line of this run, with what differs from the defaults. */
function again({ name, command, seed, values }: Asked): string {
  const own = Object.entries(values).filter(([option, value]) => value !== command.options[option]!.initial);
  return ['npm run torture --', name, ...own.map(([option, value]) => `--${option} ${value}`), `--seed ${seed}`].join(' ');
}

function shown({ claim, violations }: Finding): string {
  if (violations.length === 0) return `  ✓ ${claim}`;
  const more = violations.length > MOST_SHOWN ? [`… and ${violations.length - MOST_SHOWN} more`] : [];
  return [`  ✗ ${claim}`, ...[...violations.slice(0, MOST_SHOWN), ...more].map((violation) => `      ${violation}`)].join('\n');
}

function progress(line: string): void {
  say(`  ${((performance.now() - startedAt) / 1_000).toFixed().padStart(5)} s  ${line}`);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

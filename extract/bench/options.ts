/** What `npm run bench:micro` takes on its command line. */
import { parseArgs } from 'node:util';

export const parts = ['product', 'list', 'orders', 'storm', 'overload', 'outbox', 'size', 'events', 'call', 'remote', 'gateway', 'latency', 'apart', 'tracing', 'memory'] as const;
export type Part = (typeof parts)[number];

export interface Options {
  readonly rounds: number;
  /** Seconds of a round. */
  readonly seconds: number;
  /** Seconds before the first round, shared by both sides. */
  readonly warmUp: number;
  readonly only: readonly Part[];
  readonly json: boolean;
  /** Puts the figures of the parts that were measured into docs/benchmarks.md. */
  readonly write: boolean;
  /** Folder for CPU profiles of all measured processes; none are taken without. */
  readonly profile: string | undefined;
}

export const usage = `npm run bench:micro -- [options]
  --rounds 7      rounds of each side; medians are of these
  --seconds 5     length of a round
  --warm-up 20    seconds before the first round, shared by both sides
  --only a,b      some of: ${parts.join(', ')}
  --json          prints the results as JSON
  --write         puts the figures of these parts into docs/benchmarks.md
  --profile dir   writes CPU profiles of all measured processes into this folder (costs speed)
DATABASE_URL names a PostgreSQL to use, with a login that may create databases and roles; an embedded one runs otherwise.`;

/** @throws TypeError that says what is wrong, for the user to read */
export function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string', default: '7' },
      seconds: { type: 'string', default: '5' },
      'warm-up': { type: 'string', default: '20' },
      only: { type: 'string', default: parts.join(',') },
      json: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
      profile: { type: 'string' },
    },
  });
  return {
    rounds: wholeNumber('rounds', values.rounds),
    seconds: wholeNumber('seconds', values.seconds),
    warmUp: wholeNumber('warm-up', values['warm-up']),
    only: values.only.split(',').map(partNamed),
    json: values.json,
    write: values.write && withoutProfile(values.profile),
    profile: values.profile,
  };
}

/** A profile costs speed: such figures are not for the page. */
function withoutProfile(profile: string | undefined): true {
  if (profile === undefined) return true;
  throw new TypeError('--write and --profile do not go together: taking profiles costs speed');
}

function wholeNumber(name: string, text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1) return number;
  throw new TypeError(`--${name} is ${JSON.stringify(text)}, but must be a whole number of 1 or more`);
}

function partNamed(name: string): Part {
  const part = parts.find((each) => each === name.trim());
  if (part) return part;
  throw new TypeError(`--only names ${JSON.stringify(name)}, but there are only ${parts.join(', ')}`);
}

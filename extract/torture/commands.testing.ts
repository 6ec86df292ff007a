/** The sub-commands of `npm run torture`: what each takes, and what it is to prove. */
import { backends } from './backends.testing.ts';
import { everyBlast } from '../blast/blast-command.testing.ts';
import { fuzzShop } from './fuzz.testing.ts';
import { histories } from '../histories/histories.testing.ts';
import { keys } from './keys.testing.ts';
import { kill } from './kill.testing.ts';
import { late } from './late.testing.ts';
import { onDatabaseOfItsOwn } from './places.testing.ts';
import { poison } from './poison.testing.ts';
import type { Result } from './result.testing.ts';
import { server } from './server.testing.ts';
import { soak } from './soak.testing.ts';

export interface Option {
  readonly initial: number;
  readonly what: string;
}

export interface Command {
  readonly what: string;
  readonly options: Readonly<Record<string, Option>>;
  run(given: Given): Promise<Result>;
}

export interface Given {
  readonly seed: number;
  /** Value of an option of the command. */
  value(option: string): number;
  progress(line: string): void;
}

const clients: Option = { initial: 8, what: 'clients that act at a time' };

export const commands: Readonly<Record<string, Command>> = {
  kill: {
    what: 'kill -9 of the shop at random moments while customers trade',
    options: { kills: { initial: 300, what: 'how often' }, clients },
    run: async ({ seed, value, progress }) =>
      onDatabaseOfItsOwn('kill', async (place) => kill({ ...place, seed, kills: value('kills'), clients: value('clients'), progress })),
  },
  backends: {
    what: 'database connections are killed on the server while customers trade',
    options: { kills: { initial: 100, what: 'how often' }, clients },
    run: async ({ seed, value, progress }) =>
      onDatabaseOfItsOwn('backends', async (place) => backends({ ...place, seed, kills: value('kills'), clients: value('clients'), progress })),
  },
  server: {
    what: 'the database server is killed while customers trade; always the embedded one',
    options: { kills: { initial: 40, what: 'how often, by an immediate shutdown and by kill -9 in turn' }, clients },
    run: async ({ seed, value, progress }) => server({ seed, kills: value('kills'), clients: value('clients'), progress }),
  },
  poison: {
    what: 'events that can never be handled, among others that must not wait for them',
    options: {
      percent: { initial: 1, what: 'of the events are poisoned' },
      events: { initial: 3_000, what: 'events in each half of a round' },
      rounds: { initial: 4, what: 'each with poison and without' },
      rate: { initial: 200, what: 'events a second' },
    },
    run: async ({ seed, value, progress }) =>
      onDatabaseOfItsOwn('poison', async (place) =>
        poison({ ...place, seed, percent: value('percent'), events: value('events'), rounds: value('rounds'), rate: value('rate'), paced: true, progress })),
  },
  late: {
    what: 'transactions that publish and commit long after younger ones',
    options: { events: { initial: 100_000, what: 'events that are published meanwhile' } },
    run: async ({ seed, value, progress }) => onDatabaseOfItsOwn('late', async (place) => late({ ...place, seed, events: value('events'), progress })),
  },
  keys: {
    what: 'many copies of one request at once, under one idempotency key, and kill -9 among them',
    options: { keys: { initial: 100, what: 'how many' }, copies: { initial: 100, what: 'of each request' }, kills: { initial: 30, what: 'how often' } },
    run: async ({ seed, value, progress }) =>
      onDatabaseOfItsOwn('keys', async (place) => keys({ ...place, seed, keys: value('keys'), copies: value('copies'), kills: value('kills'), progress })),
  },
  soak: {
    what: 'half of what the shop can take, for a long time: what it holds levels off',
    options: { minutes: { initial: 20, what: 'how long; from 5 on memory and busy connections are judged, too' }, rate: { initial: 0, what: 'requests a second; 0 stands for half the knee' } },
    run: async ({ seed, value, progress }) =>
      onDatabaseOfItsOwn('soak', async (place) => soak({ ...place, seed, minutes: value('minutes'), rate: value('rate'), share: 0.5, burstSeconds: 10, progress })),
  },
  blast: {
    what: 'each service is killed, hangs and is slow under load; so is one process; writes docs/resilience.md',
    options: {},
    run: async ({ seed, progress }) => everyBlast({ seed, progress }),
  },
  histories: {
    what: 'one random history in one process, with each module as a service of its own in turn, and with all of them: the end is the same',
    options: { steps: { initial: 40, what: 'things that happen in each history' }, histories: { initial: 3, what: 'how many' } },
    run: async ({ seed, value, progress }) => histories({ seed, steps: value('steps'), count: value('histories'), progress }),
  },
  fuzz: {
    what: 'made-up requests to every route, from what the OpenAPI document declares and from what it does not',
    options: { cases: { initial: 2_000, what: 'requests to each route' } },
    run: async ({ seed, value, progress }) => onDatabaseOfItsOwn('fuzz', async (place) => fuzzShop({ ...place, seed, cases: value('cases'), progress })),
  },
};

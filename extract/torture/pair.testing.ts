/** Two small modules in this process, one that publishes and one that handles twice: for what is done to events alone. */
import { join } from 'node:path';
import { Call } from '../../src/calls/call.ts';
import { projectRoot } from '../../src/host/discover.ts';
import { type Host, startHost } from '../../src/host/host.ts';
import { createLog } from '../../src/log/log.ts';
import { checkSettings, kernelSettings, type KernelSettings } from '../../src/settings/settings.ts';
import { testEnvironment } from '../../src/testing/environment.ts';
import { type Behaviour, ping, pingPong } from '../../src/testing/fixtures/ping-pong.ts';
import { Books } from './books.testing.ts';
import type { Place } from './places.testing.ts';
import type { Finding } from './result.testing.ts';

export interface Pair {
  readonly host: Host;
  readonly books: Books;
  /** Publishes one event of the aggregate. @returns its id, once it is committed */
  hit(id: string): Promise<string>;
}

const HIT_MS = 30_000;
const SUBSCRIBERS = ['first', 'second'];

export async function withPair<T>({ adminUrl, rolePrefix }: Place, init: { settings: Readonly<Record<string, string>>; behaviour: Behaviour }, work: (pair: Pair) => Promise<T>): Promise<T> {
  const { values } = checkSettings({ kernel: kernelSettings }, { ...testEnvironment, DATABASE_ROLE_PREFIX: rolePrefix, ...init.settings });
  const settings = values['kernel'] as KernelSettings;
  const migrations = join(projectRoot, 'src', 'testing', 'fixtures', 'migrations');
  const host = await startHost({ modules: pingPong(init.behaviour), adminUrl, settings, moduleSettings: { ping: {}, pong: {} }, log: createLog('fatal'), migrations });
  const books = new Books(adminUrl);
  const client = host.client(ping, 'torture');
  try {
    return await work({ host, books, hit: async (id) => (await client.hit({ id }, Call.root('torture', HIT_MS))).eventId });
  } finally {
    await host.stop();
    await books.close();
  }
}

/** Events that a subscriber has not handled, or not once, or before an earlier one of their aggregate. */
export async function handledOnce(books: Books, published: number): Promise<Finding[]> {
  const counts = await books.rows<{ subscriber: string; n: number }>('select subscriber, count(*)::int as n from pong.seen group by 1');
  const wrong = SUBSCRIBERS.map((name) => ({ name, n: counts.find(({ subscriber }) => subscriber === name)?.n ?? 0 })).filter(({ n }) => n !== published);
  const disorderly = await books.rows<{ what: string }>(
    `select subscriber || ' handled ' || n || ' of ' || aggregate_id || ' before the one before it' as what
     from (select *, lag(at) over (partition by subscriber, aggregate_id order by n) as before from pong.seen) as s where at < before`,
  );
  return [
    { claim: 'each subscriber handled each event, once', violations: wrong.map(({ name, n }) => `${name} handled ${n} of ${published}`) },
    { claim: 'events of one aggregate were handled in order', violations: disorderly.map(({ what }) => what) },
  ];
}

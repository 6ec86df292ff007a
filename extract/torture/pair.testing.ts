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
  /** Ids of the events that have been committed. */
  readonly published: readonly string[];
  /** Publishes one event of the aggregate. @returns its id, once it is committed */
  hit(id: string): Promise<string>;
}

const HIT_MS = 30_000;
const SUBSCRIBERS = ['first', 'second'];
/** Violations that are told of; there may be as many as events. */
const TOLD = 10;

export async function withPair<T>({ adminUrl, rolePrefix }: Place, init: { settings: Readonly<Record<string, string>>; behaviour: Behaviour }, work: (pair: Pair) => Promise<T>): Promise<T> {
  const { values } = checkSettings({ kernel: kernelSettings }, { ...testEnvironment, DATABASE_ROLE_PREFIX: rolePrefix, ...init.settings });
  const settings = values['kernel'] as KernelSettings;
  const migrations = join(projectRoot, 'src', 'testing', 'fixtures', 'migrations');
  const host = await startHost({ modules: pingPong(init.behaviour), adminUrl, settings, moduleSettings: { ping: {}, pong: {} }, log: createLog('fatal'), migrations });
  const books = new Books(adminUrl);
  const client = host.client(ping, 'torture');
  const published: string[] = [];
  const hit = async (id: string): Promise<string> => {
    const { eventId } = await client.hit({ id }, Call.root('torture', HIT_MS));
    published.push(eventId);
    return eventId;
  };
  try {
    return await work({ host, books, published, hit });
  } finally {
    await host.stop();
    await books.close();
  }
}

/** Events that a subscriber has not handled, or not once, or that nobody published, or before an earlier one of their aggregate. */
export async function handledOnce({ books, published }: Pick<Pair, 'books' | 'published'>): Promise<Finding[]> {
  // By id: among counts, one event that was passed by and one that was handled twice cancel out.
  const wrong = await books.rows<{ what: string }>(
    `select subscriber || ' handled ' || event_id || ' ' || coalesce(times, 0) || ' times' || case when wanted then '' else ', and nobody published it' end as what
     from (select subscriber, event_id, true as wanted from unnest($1::uuid[]) as event_id, unnest($2::text[]) as subscriber) as w
     full join (select subscriber, event_id, count(*) as times from pong.seen group by 1, 2) as s using (subscriber, event_id)
     where wanted is null or times is distinct from 1 order by 1 limit ${TOLD}`,
    [published, SUBSCRIBERS],
  );
  const disorderly = await books.rows<{ what: string }>(
    `select subscriber || ' handled ' || n || ' of ' || aggregate_id || ' before the one before it' as what
     from (select *, lag(at) over (partition by subscriber, aggregate_id order by n) as before from pong.seen) as s where at < before`,
  );
  return [
    { claim: 'each subscriber handled each event, once', violations: wrong.map(({ what }) => what) },
    { claim: 'events of one aggregate were handled in order', violations: disorderly.map(({ what }) => what) },
  ];
}

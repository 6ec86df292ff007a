/**
 * What the kernel alone does to events, with two small modules in a process of its own: how long one takes from its commit
 * until its handler has committed, at a steady rate; and how fast many that wait are worked off. The last line that it
 * prints is the result as JSON.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { Call } from '../../../src/calls/call.ts';
import { type Host, startHost } from '../../../src/host/host.ts';
import { createLog } from '../../../src/log/log.ts';
import { checkSettings, kernelSettings, type KernelSettings } from '../../../src/settings/settings.ts';
import { uuidv7 } from '../../../src/uuid.ts';
import { quantile } from '../figures.ts';
import { flowModules, sender } from './modules.ts';

export interface EventFlow {
  /** Milliseconds from the confirmed commit of the publisher to that of the handler. */
  readonly atRate: { readonly p50: number; readonly p99: number };
  /** Until the handlers of all that waited have committed, in seconds. */
  readonly drainSeconds: number;
}

const RATE = 200;
const WAITING = 100_000;
const RATE_SECONDS = 15;
const WARM_UP = 400;
const PATIENCE_MS = 120_000;

const handledAt = new Map<string, number>();
const modules = flowModules((id) => handledAt.set(id, performance.now()));
const settings = checkSettings({ kernel: kernelSettings }, process.env).values['kernel'] as KernelSettings;
const migrations = join(import.meta.dirname, 'migrations');

async function start(): Promise<Host> {
  return startHost({ modules, adminUrl: settings.DATABASE_URL!, settings, moduleSettings: { sender: {}, receiver: {} }, log: createLog('warn'), migrations });
}

async function atRate(host: Host): Promise<EventFlow['atRate']> {
  const client = host.client(sender, 'bench');
  const committedAt = new Map<string, number>();
  const started = performance.now();
  const sent: Promise<void>[] = [];
  const send = async (): Promise<void> => {
    const { eventId } = await client.send({ id: uuidv7() }, Call.root('bench', 10_000));
    committedAt.set(eventId, performance.now());
  };
  for (let number = 0; number < WARM_UP + RATE * RATE_SECONDS; number += 1) {
    const wait = started + (number * 1_000) / RATE - performance.now();
    if (wait > 0) await sleep(wait);
    sent.push(send());
  }
  await Promise.all(sent);
  await until(() => handledAt.size === committedAt.size);
  // A handler may have committed before the publisher's process heard of its own commit.
  const times = [...committedAt].slice(WARM_UP).map(([id, at]) => Math.max(0, handledAt.get(id)! - at));
  return { p50: quantile(times, 0.5), p99: quantile(times, 0.99) };
}

/** Copies of an event that was published and handled, each of an aggregate of its own, as if nobody had handled them yet. */
async function layIn(database: pg.Client): Promise<void> {
  const { rows } = await database.query<{ columns: string }>(
    `select string_agg(quote_ident(column_name), ', ') as columns from information_schema.columns
     where table_schema = 'sender_outbox' and table_name = 'job' and column_name not in ('id', 'data', 'state', 'completed_on', 'output') and is_generated = 'NEVER'`,
  );
  const { columns } = rows[0]!;
  await database.query(
    `insert into sender_outbox.job (id, state, data, ${columns})
     select fresh.id, 'created', data || jsonb_build_object('id', fresh.id, 'aggregateId', fresh.id, 'data', jsonb_build_object('id', fresh.id)), ${columns}
     from (select * from sender_outbox.job where name = 'events' order by id limit 1) as done, unnest($1::uuid[]) as fresh (id)`,
    [Array.from({ length: WAITING }, () => uuidv7())],
  );
  await database.query('analyze');
}

async function until(check: () => boolean | Promise<boolean>): Promise<void> {
  const givenUpAt = performance.now() + PATIENCE_MS;
  while (!(await check())) {
    if (performance.now() > givenUpAt) throw new Error(`not done after ${PATIENCE_MS / 1_000} s`);
    await sleep(5);
  }
}

let host = await start();
const rate = await atRate(host);
await host.stop();
const database = new pg.Client({ connectionString: settings.DATABASE_URL! });
await database.connect();
await layIn(database);
const before = handledAt.size;
const startedAt = performance.now();
host = await start();
await until(() => handledAt.size === before + WAITING);
const drainSeconds = (performance.now() - startedAt) / 1_000;
const { rows } = await database.query<{ received: number }>('select count(*)::int as received from receiver.received');
if (rows[0]!.received !== handledAt.size) throw new Error(`${rows[0]!.received} events have had their effect, of ${handledAt.size}`);
await database.end();
await host.stop();
process.stdout.write(`${JSON.stringify({ atRate: rate, drainSeconds } satisfies EventFlow)}\n`);

/** What the outbox leaves for pg-boss, and what is forgotten in time of what the kernel keeps for a module, with the module's own rights. */
import { join } from 'node:path';
import t from 'tap';
import { pingPong } from '../testing/fixtures/ping-pong.ts';
import { testShop } from '../testing/testing.ts';
import { uuidv7 } from '../uuid.ts';
import type { EventEnvelope } from '../contract/types.ts';
import { PgBoss } from '../database/pg-boss.ts';
import { Call } from '../calls/call.ts';
import { retention } from '../host/retention.ts';

const migrations = join(import.meta.dirname, '..', 'testing', 'fixtures', 'migrations');
const shop = await testShop(t, { modules: pingPong(), migrations });
const { db, outbox } = shop.module('ping');
/** Of some 1,500 that the events of the test fill, their indexes included. */
const MOST_PAGES = 150;
/** As the relay reads. */
const READ = 500;
const forget = async () => retention(db, outbox).run(Call.root('test', 10_000));

t.test('an event stands in the outbox as if pg-boss had written it', async (t) => {
  const boss = new PgBoss({ db: { executeSql: async (text, values) => outbox.pool.query(text, values) }, schema: outbox.schema, migrate: false, createSchema: false, schedule: false, supervise: false });
  await boss.start();
  t.teardown(async () => boss.stop({ graceful: false, close: false }));
  const [first, second] = [1, 2].map((n) => ({ id: uuidv7(), type: 'ping.any.v1', aggregateId: uuidv7(), data: { n } })) as [EventEnvelope, EventEnvelope];
  const theirs = uuidv7();
  const client = await outbox.pool.connect();
  // Taken back at the end: the relay is not to see them.
  await client.query('begin');
  const statements: [string, unknown[]][] = [];
  await outbox.write({ later: (text, params = []) => void statements.push([text, [...params]]) }, [first, second]);
  for (const statement of statements) await client.query(...statement);
  await boss.insert('events', [{ id: theirs, data: first }], { db: { executeSql: async (text, values) => client.query(text, values) } });
  const stored = async (id: string) => (await client.query(`select * from ${outbox.schema}.job where id = $1`, [id])).rows[0] as Record<string, unknown>;
  const expected = await stored(theirs);
  t.equal(expected['state'], 'created');
  for (const event of [first, second]) t.strictSame(await stored(event.id), { ...expected, id: event.id, data: event });
  await client.query('rollback');
  client.release();
});

t.test('of the events that are kept a look reads none, nor of those that were done a moment ago', async (t) => {
  const { schema, pool } = outbox;
  const [relay] = await shop.sql<{ epoch: number }>('ping_outbox', `select value::int as epoch from note where key = 'relay'`);
  const queries = t.capture(pool, 'query', pool.query);
  await outbox.pending(READ, [], relay!.epoch);
  const text = queries().map(({ args }) => args[0] as unknown).find((query): query is string => typeof query === 'string' && query.includes('order by id limit'))!;
  const client = await pool.connect();
  await client.query(`prepare look (int, uuid[], int) as ${text}`);
  const pagesRead = async () => {
    const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>(`explain (analyze, buffers, format json) execute look (${READ}, '{}', ${relay!.epoch})`);
    const { Plan } = rows[0]!['QUERY PLAN'][0];
    t.notMatch(JSON.stringify(Plan), /Bitmap/, 'it follows the index');
    return Plan['Shared Hit Blocks']! + Plan['Shared Read Blocks']!;
  };
  // Planned when there is hardly anything: for these values, as the first few times, and once for all, as a connection that lasts does.
  for (const mode of ['force_custom_plan', 'force_generic_plan']) {
    await client.query(`set plan_cache_mode = ${mode}`);
    await pagesRead();
  }
  // An entry can be told to be dead once its commit is on the disk, which commits of the tests' server do not wait for by themselves,
  await client.query('set synchronous_commit = on');
  // In one transaction: the relay is not to see them.
  await client.query('begin');
  const { rows: [done] } = await client.query<{ xid: string }>('select pg_current_xact_id()::xid::text as xid');
  await client.query(`insert into ${schema}.job (name, data) select 'events', '{"done": true}' from generate_series(1, 20000)`);
  await client.query(`update ${schema}.job set state = 'completed', completed_on = now() where data ? 'done'`);
  await client.query('commit');
  // and once nobody looks at the database as it was before.
  await shop.until(async () => (await shop.sql('public', 'select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and age(backend_xmin) >= age($1::text::xid)', [done!.xid])).length === 0, 'the last older look to end');
  // It meets those that are dead, and tells the index.
  await pagesRead();
  t.ok((await pagesRead()) < MOST_PAGES, 'without statistics');
  await shop.sql('ping_outbox', 'analyze job');
  t.ok((await pagesRead()) < MOST_PAGES, 'with statistics');
  await client.query('deallocate look');
  await client.query('reset plan_cache_mode');
  await client.query('reset synchronous_commit');
  client.release();
});

t.test('events that were handled long ago are dropped, younger and waiting ones stay', async (t) => {
  const [old, young, waiting] = [uuidv7(), uuidv7(), uuidv7()];
  const add = `insert into job (id, name, data, state, created_on, completed_on) values ($1, 'events', '{}', $2, $3, $4)`;
  const monthAgo = new Date(Date.now() - 30 * 24 * 3_600_000);
  await shop.sql('ping_outbox', add, [old, 'completed', monthAgo, monthAgo]);
  await shop.sql('ping_outbox', add, [young, 'completed', monthAgo, new Date()]);
  await shop.sql('ping_outbox', add, [waiting, 'failed', monthAgo, null]);
  await shop.sql('ping_outbox', 'update queue set maintain_on = null, monitor_on = null, monitor_claim_on = null');
  await forget();
  const left = await shop.sql<{ id: string }>('ping_outbox', 'select id from job where id = any ($1)', [[old, young, waiting]]);
  t.same(left.map(({ id }) => id).toSorted(), [young, waiting].toSorted());
  const [queue] = await shop.sql<{ counted: boolean }>('ping_outbox', `select monitor_on is not null as counted from queue where name = 'events'`);
  t.ok(queue!.counted, 'the queue was counted');
});

t.test('inbox rows, sagas that have ended and replays that are over are dropped in time as well', async (t) => {
  await shop.sql('ping_outbox', `insert into inbox (subscriber, event_id, handled_at) values ('ping.any', gen_random_uuid(), now() - interval '31 days'), ('ping.any', gen_random_uuid(), now() - interval '29 days')`);
  await shop.sql('ping_outbox', `insert into saga (name, id, status, step, trail, data, traceparent, request_id, updated_at)
    select 'any', gen_random_uuid(), status, '', '{}', '{}', '', '', now() - days * interval '1 day' from unnest(array['finished', 'compensated', 'waiting'], array[91, 89, 91]) as saga (status, days)`);
  await shop.sql('ping_outbox', `insert into note (key, value, created_at) values ('replay:old', '{"finishedAt": ""}', now() - interval '31 days'), ('replay:young', '{"finishedAt": ""}', now() - interval '29 days'), ('other', '{}', now() - interval '31 days')`);
  await forget();
  t.same(await shop.sql('ping_outbox', `select extract(day from now() - handled_at)::int as days from inbox where subscriber = 'ping.any'`), [{ days: 29 }]);
  t.same(await shop.sql('ping_outbox', `select status from saga where name = 'any' order by status`), [{ status: 'compensated' }, { status: 'waiting' }]);
  t.same(await shop.sql('ping_outbox', `select key from note where key in ('replay:old', 'replay:young', 'other') order by key`), [{ key: 'other' }, { key: 'replay:young' }]);
});

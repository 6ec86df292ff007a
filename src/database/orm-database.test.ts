/** What a module may expect of its database where PostgreSQL alone would fail it. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import t from 'tap';
import { pingPong } from '../testing/fixtures/ping-pong.ts';
import { Line } from '../bus/line.testing.ts';
import { testShop } from '../testing/testing.ts';
import { asCallError } from './lost-connection.ts';
import { PreparedClient } from './prepared-client.ts';

const shop = await testShop(t, { modules: pingPong(), migrations: join(import.meta.dirname, '..', 'testing', 'fixtures', 'migrations') });
const { db } = shop.module('ping');

t.test('a statement that loses a deadlock is repeated, outside a transaction as in one', async (t) => {
  for (const sql of [db.sql.bind(db), async (text: string) => db.transaction({ call: shop.call() }, async (tx) => tx.sql(text))]) {
    const rival = new pg.Client({ connectionString: shop.adminUrl });
    await rival.connect();
    // The rival waits longer before it looks for deadlocks, so it is the statement that loses.
    await rival.query(`set deadlock_timeout = '1min'; begin; select pg_advisory_xact_lock(1)`);
    const done = sql('select pg_advisory_xact_lock(2), pg_advisory_xact_lock(1)');
    await shop.until(async () => (await shop.sql('ping', `select 1 from pg_locks where locktype = 'advisory' and objid = 1 and not granted`)).length === 1, 'the statement to wait');
    await rival.query('select pg_advisory_xact_lock(2)');
    await rival.query('commit');
    await rival.end();
    t.equal((await done).length, 1);
  }
});

t.test('a transaction whose work hangs ends with its call, and what the work still tries fails', async (t) => {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  let afterwards: Promise<unknown> | undefined;
  const hung = db.transaction({ call: shop.call(50) }, async (tx) => {
    await tx.sql('select 1');
    await released;
    afterwards = tx.sql(`insert into counter (id, n) values (gen_random_uuid(), -1)`);
    await afterwards;
  });
  await t.rejects(hung, { code: 'DEADLINE_EXCEEDED' });
  t.equal(db.pool.totalCount, db.pool.idleCount, 'the connection is back');
  release();
  await shop.until(() => afterwards !== undefined, 'the work to go on');
  await t.rejects(afterwards!, { message: /the transaction is over/ });
  t.strictSame(await db.sql('select 1 from counter where n = -1'), []);
});

t.test('a server that falls silent, and tells nobody, is given up', async (t) => {
  const line = await Line.open(shop.adminUrl);
  t.teardown(async () => line.close());
  for (const ask of [async (client: PreparedClient) => client.query('select $1::int', [1]), async (client: PreparedClient) => client.together([{ text: 'select 1', params: [] }, { text: 'select 2', params: [] }])]) {
    const client = new PreparedClient({ connectionString: line.url, answerMs: 500 });
    client.on('error', () => undefined);
    await client.connect();
    await client.query('select pg_sleep(0.3)', []);
    await sleep(700);
    t.equal((await client.query('select 1 as n', [])).rows[0].n, 1, 'one that nobody asks may be silent');
    line.freeze();
    const failure = await ask(client).catch((error: unknown) => error);
    t.match(failure, { message: /^Connection terminated/ });
    t.match(asCallError(failure, 'ping', false), { code: 'UNAVAILABLE' });
    line.thaw();
  }
});

t.test('a server that could not even be connected to has done nothing, whatever it was to do', async (t) => {
  for (const failure of [{ code: 'ECONNREFUSED' }, { code: '57P03' }, { code: '53300' }, new Error('timeout exceeded when trying to connect')]) t.match(asCallError(failure, 'ping', true), { code: 'UNAVAILABLE', underWay: false });
  for (const failure of [{ code: 'ECONNRESET' }, { code: '57P01' }, new Error('Connection terminated unexpectedly')]) t.match([asCallError(failure, 'ping', true), asCallError(failure, 'ping', false)], [{ code: 'DEADLINE_EXCEEDED' }, { code: 'UNAVAILABLE', underWay: true }]);
});

const ways: Readonly<Record<string, (text: string) => Promise<unknown>>> = {
  'a statement': async (text) => db.sql(text),
  'the entity manager': async (text) => db.em().execute(text),
  'a transaction': async (text) => db.transaction({ call: shop.call() }, async (tx) => tx.sql(text)),
  'the entity manager of a transaction': async (text) => db.transaction({ call: shop.call() }, async (tx) => tx.em.execute(text)),
};

/** The backends of the module that carry out `text`. */
async function backendsAt(text: string): Promise<{ pid: number }[]> {
  return shop.sql('ping', `select pid from pg_stat_activity where datname = current_database() and application_name = 'cleave:ping' and state = 'active' and query = $1`, [text]);
}

for (const [way, run] of Object.entries(ways)) {
  t.test(`${way} whose connection is lost says so`, async (t) => {
    const text = 'select pg_sleep(60)';
    const lost = t.rejects(run(text), { name: 'CallError', code: 'UNAVAILABLE', message: 'the database of ping cannot be reached; repeat a little later' });
    const backend = await shop.until(async () => (await backendsAt(text))[0], 'the statement to run');
    await shop.sql('ping', 'select pg_terminate_backend($1)', [backend.pid]);
    await lost;
  });

  t.test(`${way} that gets no connection says so`, async (t) => {
    await shop.sql('ping', `alter database ${shop.database.name} connection limit 0`);
    t.teardown(async () => shop.sql('ping', `alter database ${shop.database.name} connection limit -1`));
    await shop.until(async () => {
      // Again, for one that was being made when the limit came.
      await shop.sql('ping', `select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = current_database() and application_name = 'cleave:ping'`);
      return db.pool.totalCount === 0;
    }, 'the pool to notice');
    await t.rejects(run('select 1'), { name: 'CallError', code: 'UNAVAILABLE' });
  });

  t.test(`${way} that is wrong says what PostgreSQL says`, async (t) => {
    await t.rejects(run('select nothing'), { code: '42703' });
  });
}

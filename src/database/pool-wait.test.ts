/** The shortest wait for a connection, whatever asks for one. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import t from 'tap';
import { emptyDatabase } from '../testing/testing.ts';
import { PoolWait } from './pool-wait.ts';

const HELD_MS = 60;

const database = await emptyDatabase();
const pool = new pg.Pool({ connectionString: database.adminUrl, max: 1, connectionTimeoutMillis: 5_000 });
// A pool has ended before its connections have: the database that is dropped next may end one of them first.
pool.on('error', () => undefined);
const wait = new PoolWait(pool);
t.teardown(async () => {
  await pool.end();
  await database.drop();
});
await pool.query('select 1');
wait.take();

t.test('nobody has waited where nobody asked', async (t) => {
  t.equal(wait.take(), 0);
});

t.test('the luckiest counts, of those who wait for a statement as of those for a connection', async (t) => {
  const client = await pool.connect();
  wait.take();
  const others = [pool.query('select 1'), pool.connect().then((next) => next.release())];
  await sleep(HELD_MS);
  client.release();
  await Promise.all(others);
  t.ok(wait.take() >= HELD_MS - 1);
  await pool.query('select 1');
  await Promise.all([pool.query('select pg_sleep(0.5)'), pool.query('select 1')]);
  t.ok(wait.take() < 500, 'the first of them had not to wait for the other');
});

t.test('a queue in which nobody is served has waited since it was last asked, and longer each time', async (t) => {
  const client = await pool.connect();
  wait.take();
  const other = pool.query('select 1');
  await sleep(HELD_MS);
  const first = wait.take();
  await sleep(HELD_MS);
  t.ok(first >= HELD_MS - 1 && wait.take() >= first + HELD_MS - 2);
  client.release();
  await other;
});

t.test('a connection that cannot be had is an error, as without', async (t) => {
  const nowhere = new pg.Pool({ host: '127.0.0.1', port: 1 });
  const lost = new PoolWait(nowhere);
  await t.rejects(nowhere.connect(), { code: 'ECONNREFUSED' });
  await t.rejects(nowhere.query('select 1'), { code: 'ECONNREFUSED' });
  t.ok(lost.take() >= 0);
  await nowhere.end();
});

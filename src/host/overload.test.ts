/** What the modules of a shop wait for at their databases counts as overload. When requests are turned away, and which: src/http/overload.test.ts. */
import { join } from 'node:path';
import { Type } from '@sinclair/typebox';
import pg from 'pg';
import t from 'tap';
import { openRequestsLimit } from '../http/server.testing.ts';
import { defineContract, defineModule } from '../kernel.ts';
import type { AnyModule } from '../module.ts';
import { pingPong } from '../testing/fixtures/ping-pong.ts';
import { type Reply, testShop } from '../testing/testing.ts';

const POOL_SIZE = 2;
/** More than the 32 that are taken however long the queue is. */
const OPEN = 60;

const trips = defineModule({
  contract: defineContract({ name: 'trip', version: 1, summary: 'Lists trips.', errors: {}, operations: {}, events: {} }),
  dependencies: {},
  consumes: {},
  paths: ['/trips'],
  settings: Type.Object({}),
  entities: [],
  setup: ({ db }) => ({
    operations: {},
    async routes(app) {
      app.get('/trips', { config: { access: 'anyone' } }, async () => ({ items: await db.sql('select id from trip') }));
      app.get('/trips/count-of-seats', { config: { access: 'anyone' } }, async () => ({ seats: 4 }));
    },
  }),
});

const migrations = join(import.meta.dirname, '..', 'testing', 'fixtures', 'migrations');
const settings = { OVERLOAD_DELAY_MS: '100', POOL_SIZE: String(POOL_SIZE) };
// The pools of the neighbours stay idle, and hide nothing.
const shop = await testShop(t, { modules: [trips as unknown as AnyModule, ...pingPong()], migrations, settings });

async function list(): Promise<Reply> {
  return shop.request('GET', '/api/v1/trips');
}

async function listMany(count: number): Promise<Reply[]> {
  return Promise.all(Array.from({ length: count }, list));
}

async function limit(): Promise<number> {
  return openRequestsLimit((await shop.request('GET', '/metrics')).body);
}

/** Keeps everybody from the trips; whoever asks for them keeps a connection of the pool until it is called. */
async function lockTrips(): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: shop.adminUrl });
  await client.connect();
  t.teardown(async () => client.end());
  await client.query('begin; lock table trip.trip in access exclusive mode');
  return async () => void (await client.query('commit'));
}

t.test('a module whose pool is held up takes fewer requests, and all of them again when it is free', async (t) => {
  const release = await lockTrips();
  const taken = listMany(OPEN);
  const { pool } = shop.module('trip').db;
  await shop.until(() => pool.waitingCount === OPEN - POOL_SIZE, 'all requests to wait for the database');
  await shop.until(async () => (await limit()) < OPEN, 'the queue to be noticed');
  for (const { status, headers, body } of await listMany(10)) {
    t.match({ status, body }, { status: 503, body: { code: 'UNAVAILABLE', detail: /more to do than can be done/ } });
    t.equal(headers.get('retry-after'), '2');
  }
  t.equal((await shop.request('GET', '/api/v1/trips/count-of-seats')).status, 200, 'what needs no database is served');
  await release();
  t.same([...new Set((await taken).map(({ status }) => status))], [200], 'whoever was taken is answered');

  await shop.until(async () => (await limit()) === Number.POSITIVE_INFINITY, 'the limit to be lifted');
  t.same([...new Set((await listMany(OPEN)).map(({ status }) => status))], [200], 'everybody is served again');
});

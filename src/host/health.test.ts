/** What the platform says of itself while the database comes and goes. */
import pg from 'pg';
import t from 'tap';
import { testShop } from '../testing/testing.ts';
import { join } from 'node:path';
import { pingPong } from '../testing/fixtures/ping-pong.ts';

const migrations = join(import.meta.dirname, '..', 'testing', 'fixtures', 'migrations');
const shop = await testShop(t, { modules: pingPong(), migrations });

async function administer(work: (client: pg.Client) => Promise<void>): Promise<void> {
  const url = new URL(shop.adminUrl);
  url.pathname = '/postgres';
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  await work(client);
  await client.end();
}

t.test('a shop that runs is healthy and ready', async (t) => {
  t.match(await shop.request('GET', '/health'), { status: 200, body: { status: 'healthy', modules: { ping: 'healthy', pong: 'healthy' } } });
  t.match(await shop.request('GET', '/ready'), { status: 200 });
});

t.test('without its database it lives, but is not ready; it recovers by itself', async (t) => {
  await administer(async (client) => {
    await client.query(`alter database ${shop.database.name} allow_connections false`);
    await client.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [shop.database.name]);
  });
  const unready = await shop.until(async () => {
    const reply = await shop.request('GET', '/ready');
    return reply.status === 503 && reply.body.reasons.length === 2 && reply;
  }, 'both modules to notice');
  t.strictSame(unready.body.reasons.toSorted(), ['ping cannot reach its database', 'pong cannot reach its database']);
  t.match(await shop.request('GET', '/health'), { status: 200, body: { status: 'degraded', modules: { ping: 'unhealthy', pong: 'unhealthy' } } });
  await administer(async (client) => void (await client.query(`alter database ${shop.database.name} allow_connections true`)));
  await shop.until(async () => (await shop.request('GET', '/ready')).status === 200, 'the shop to recover');
  t.match(await shop.request('GET', '/health'), { body: { status: 'healthy' } });
});

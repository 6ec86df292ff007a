import { join } from 'node:path';
import t from 'tap';
import { pingPong } from '../testing/fixtures/ping-pong.ts';
import { testShop } from '../testing/testing.ts';
import { among } from './among.ts';

const shop = await testShop(t, { modules: pingPong(), migrations: join(import.meta.dirname, '..', 'testing', 'fixtures', 'migrations') });
/** After so many executions PostgreSQL decides whether it keeps a plan. */
const UNDECIDED = 5;

t.test('one row or some are found, and for one a plan is kept', async (t) => {
  await shop.sql('ping', 'insert into counter (id, n) select gen_random_uuid(), n from generate_series(1, 20000) as n');
  await shop.sql('ping', 'analyze counter');
  const client = await shop.module('ping').db.pool.connect();
  t.teardown(() => client.release());
  const { rows } = await client.query<{ id: string; n: number }>('select id, n from counter order by n limit 3');
  for (const [wanted, keeps] of [[rows.slice(0, 1), true], [rows, false]] as const) {
    const { condition, param } = among('id', wanted.map(({ id }) => id));
    const text = `select id, n from counter where ${condition} order by n`;
    for (let times = 0; times <= UNDECIDED; times += 1) t.same((await client.query(text, [param])).rows, wanted);
    const { rows: [plans] } = await client.query<{ kept: boolean }>('select generic_plans > 0 as kept from pg_prepared_statements where statement = $1', [text]);
    t.same(plans, { kept: keeps });
  }
});

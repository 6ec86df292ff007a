/** Invariant I4 by force: whichever of state change and event fails at the last moment, the other is gone with it. */
import { join } from 'node:path';
import t from 'tap';
import { testShop } from '../testing/testing.ts';
import { ping, pingPong } from '../testing/fixtures/ping-pong.ts';
import { uuidv7 } from '../uuid.ts';

const migrations = join(import.meta.dirname, '..', 'testing', 'fixtures', 'migrations');
const shop = await testShop(t, { modules: pingPong(), migrations });

const hit = async (id: string) => shop.client(ping).hit({ id }, shop.call());

async function written(id: string): Promise<{ rows: number; events: number }> {
  const [state] = await shop.sql<{ n: number }>('ping', 'select count(*) as n from counter where id = $1', [id]);
  const [outbox] = await shop.sql<{ n: number }>('ping_outbox', `select count(*) as n from job where data->>'aggregateId' = $1`, [id]);
  return { rows: state!.n, events: outbox!.n };
}

await shop.sql('ping', `create function fail() returns trigger language plpgsql as $$ begin raise exception 'on purpose'; end $$`);

t.test('both are there after the commit', async (t) => {
  const id = uuidv7();
  await hit(id);
  t.same(await written(id), { rows: 1, events: 1 });
});

t.test('a state change that fails at the commit leaves no event, though that was written by then', async (t) => {
  const id = uuidv7();
  await shop.sql('ping', 'create constraint trigger fail after insert on counter deferrable initially deferred for each row execute function fail()');
  await t.rejects(hit(id), { code: 'INTERNAL' });
  await shop.sql('ping', 'drop trigger fail on counter');
  t.same(await written(id), { rows: 0, events: 0 });
});

t.test('an event that cannot be written leaves no state change', async (t) => {
  const id = uuidv7();
  await shop.sql('ping_outbox', 'create trigger fail before insert on job for each row execute function ping.fail()');
  await t.rejects(hit(id), { code: 'INTERNAL' });
  await shop.sql('ping_outbox', 'drop trigger fail on job');
  t.same(await written(id), { rows: 0, events: 0 });
});

/** What pg-boss does to the outbox by itself, in a module's own database and with a module's own rights. */
import { join } from 'node:path';
import t from 'tap';
import { pingPong } from '../testing/fixtures/ping-pong.ts';
import { testShop } from '../testing/testing.ts';
import { uuidv7 } from '../uuid.ts';
import { Outbox } from './outbox.ts';

const migrations = join(import.meta.dirname, '..', 'testing', 'fixtures', 'migrations');
const shop = await testShop(t, { modules: pingPong(), migrations });

t.test('events that were handled long ago are dropped, younger and waiting ones stay', async (t) => {
  const warnings: unknown[] = [];
  const outbox = new Outbox({ module: 'ping', url: shop.moduleUrl('ping'), wake: () => undefined, warn: (error) => warnings.push(error) });
  await outbox.start();
  t.teardown(async () => outbox.stop());
  const [old, young, waiting] = [uuidv7(), uuidv7(), uuidv7()];
  const add = `insert into job (id, name, data, state, created_on, completed_on) values ($1, 'events', '{}', $2, $3, $4)`;
  const monthAgo = new Date(Date.now() - 30 * 24 * 3_600_000);
  await shop.sql('ping_outbox', add, [old, 'completed', monthAgo, monthAgo]);
  await shop.sql('ping_outbox', add, [young, 'completed', monthAgo, new Date()]);
  await shop.sql('ping_outbox', add, [waiting, 'failed', monthAgo, null]);
  await shop.sql('ping_outbox', 'update queue set maintain_on = null, monitor_on = null, monitor_claim_on = null');
  await outbox.maintain();
  const left = await shop.sql<{ id: string }>('ping_outbox', 'select id from job where id = any ($1)', [[old, young, waiting]]);
  t.same(left.map(({ id }) => id).toSorted(), [young, waiting].toSorted());
  const [queue] = await shop.sql<{ counted: boolean }>('ping_outbox', `select monitor_on is not null as counted from queue where name = 'events'`);
  t.ok(queue!.counted, 'the queue was counted');
  t.same(warnings, []);
});

/** What the runs with poison and with late commits conclude from is done to the records by hand. */
import t from 'tap';
import { emptyDatabase, TEST_ROLE_PREFIX } from '#testing';
import { uuidv7 } from '../../src/uuid.ts';
import { handledOnce, withPair } from './pair.testing.ts';

t.test('one event that was passed by and one that was handled twice are found, and so is one out of its order', async (t) => {
  const { adminUrl, drop } = await emptyDatabase();
  t.teardown(drop);
  await withPair({ adminUrl, rolePrefix: TEST_ROLE_PREFIX }, { settings: {}, behaviour: () => undefined }, async (pair) => {
    const id = uuidv7();
    const [one, two] = [await pair.hit(id), await pair.hit(id)];
    t.same(await pair.books.untilRelayed('ping'), []);
    const violations = async () => (await handledOnce(pair)).map((finding) => finding.violations);
    t.same(await violations(), [[], []]);

    await pair.books.rows(`update pong.seen set at = at + interval '1 hour' where subscriber = 'first' and event_id = $1`, [one]);
    t.same(await violations(), [[], [`first handled 2 of ${id} before the one before it`]]);

    const stranger = uuidv7();
    await pair.books.rows(`delete from pong.seen where subscriber = 'first'`);
    await pair.books.rows(`insert into pong.seen (subscriber, event_id, aggregate_id, n) select 'first', event_id, $2, n from unnest($1::uuid[]) with ordinality as e (event_id, n)`, [[two, two], id]);
    await pair.books.rows(`insert into pong.seen (subscriber, event_id, aggregate_id, n) values ('second', $1, $1, 1)`, [stranger]);
    const wrong = [`first handled ${one} 0 times`, `first handled ${two} 2 times`, `second handled ${stranger} 1 times, and nobody published it`];
    t.same(await violations(), [wrong.toSorted(), []]);
  });
});

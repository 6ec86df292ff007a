/** The short form of `npm run torture -- kill`. */
import t from 'tap';
import { cloneDatabase, TEST_ROLE_PREFIX } from '#testing';
import { kill } from './kill.testing.ts';
import { seedOfTests, tell } from './told.testing.ts';

// Some 10 s on a machine that has nothing else to do.
t.setTimeout(180_000);

t.test('three kills lose nothing and do nothing twice', { timeout: 150_000 }, async (t) => {
  const database = await cloneDatabase();
  t.teardown(async () => database.drop());
  tell(t, await kill({ kills: 3, seed: seedOfTests, clients: 3, adminUrl: database.adminUrl, rolePrefix: TEST_ROLE_PREFIX, progress: (line) => t.comment(line) }));
});

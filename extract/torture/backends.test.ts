/** The short form of `npm run torture -- backends`. */
import t from 'tap';
import { cloneDatabase, TEST_ROLE_PREFIX } from '#testing';
import { backends } from './backends.testing.ts';
import { recoveredBesideOthersMs, seedOfTests, tell } from './told.testing.ts';

// Some 15 s on a machine that has nothing else to do.
t.setTimeout(180_000);

t.test('database connections that are lost under load are nobody\'s fault, and pass', { timeout: 150_000 }, async (t) => {
  const database = await cloneDatabase();
  t.teardown(async () => database.drop());
  tell(t, await backends({ recoveredMs: recoveredBesideOthersMs, kills: 10, seed: seedOfTests, clients: 3, adminUrl: database.adminUrl, rolePrefix: TEST_ROLE_PREFIX, progress: (line) => t.comment(line) }));
});

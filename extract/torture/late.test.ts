/** The short form of `npm run torture -- late`. */
import t from 'tap';
import { emptyDatabase, TEST_ROLE_PREFIX } from '#testing';
import { late } from './late.testing.ts';
import { seedOfTests, tell } from './told.testing.ts';

t.setTimeout(120_000);

t.test('transactions that commit late are not skipped', { timeout: 100_000 }, async (t) => {
  const { adminUrl, drop } = await emptyDatabase();
  t.teardown(drop);
  tell(t, await late({ events: 2_000, seed: seedOfTests, adminUrl, rolePrefix: TEST_ROLE_PREFIX, progress: (line) => t.comment(line) }));
});

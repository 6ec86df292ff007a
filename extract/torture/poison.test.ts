/** The short form of `npm run torture -- poison`; the pace takes a longer one. */
import t from 'tap';
import { emptyDatabase, TEST_ROLE_PREFIX } from '#testing';
import { poison } from './poison.testing.ts';
import { seedOfTests, tell } from './told.testing.ts';

t.setTimeout(120_000);

t.test('events that can never be handled become dead letters, and hold up nothing', { timeout: 100_000 }, async (t) => {
  const { adminUrl, drop } = await emptyDatabase();
  t.teardown(drop);
  tell(t, await poison({ events: 500, rounds: 1, rate: 300, percent: 2, paced: false, seed: seedOfTests, adminUrl, rolePrefix: TEST_ROLE_PREFIX, progress: (line) => t.comment(line) }));
});

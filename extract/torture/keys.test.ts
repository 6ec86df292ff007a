/** The short form of `npm run torture -- keys`. */
import t from 'tap';
import { cloneDatabase, TEST_ROLE_PREFIX } from '#testing';
import { keys } from './keys.testing.ts';
import { seedOfTests, tell } from './told.testing.ts';

t.setTimeout(180_000);

t.test('what many ask for under one key happens once, also when the shop is killed meanwhile', { timeout: 150_000 }, async (t) => {
  const { adminUrl, drop } = await cloneDatabase();
  t.teardown(drop);
  tell(t, await keys({ keys: 3, copies: 25, kills: 1, seed: seedOfTests, adminUrl, rolePrefix: TEST_ROLE_PREFIX, progress: (line) => t.comment(line) }));
});

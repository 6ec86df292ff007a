/**
 * The short form of `npm run torture -- soak`: too short for memory to level off, long enough for everything else, and with so
 * much room that it is level whatever else the machine does meanwhile.
 */
import t from 'tap';
import { cloneDatabase, TEST_ROLE_PREFIX } from '#testing';
import { soak } from './soak.testing.ts';
import { seedOfTests, tell } from './told.testing.ts';

t.setTimeout(180_000);

t.test('what a shop holds that has room levels off', { timeout: 150_000 }, async (t) => {
  const { adminUrl, drop } = await cloneDatabase();
  t.teardown(drop);
  tell(t, await soak({ minutes: 1 / 12, rate: 0, share: 0.15, burstSeconds: 0.5, seed: seedOfTests, adminUrl, rolePrefix: TEST_ROLE_PREFIX, progress: (line) => t.comment(line) }));
});

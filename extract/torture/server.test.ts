/** The short form of `npm run torture -- server`. */
import t from 'tap';
import { server } from './server.testing.ts';
import { recoveredBesideOthersMs, seedOfTests, tell } from './told.testing.ts';

// Some 15 s on a machine that has nothing else to do.
t.setTimeout(180_000);

t.test('a database server that is killed under a living shop comes back, and so does the shop', { timeout: 150_000 }, async (t) => {
  tell(t, await server({ recoveredMs: recoveredBesideOthersMs, kills: 2, seed: seedOfTests, clients: 3, progress: (line) => t.comment(line) }));
});

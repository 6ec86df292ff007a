/**
 * The short form of `npm run torture -- histories`: one history in one process, in a service for each module, and with one module that
 * left: which one, the seed decides.
 */
import t from 'tap';
import { Random } from '../torture/random.testing.ts';
import { seedOfTests } from '../torture/told.testing.ts';
import { drawHistory } from './history.testing.ts';
import { happenedIn, oneProcess, placements, sameAs } from './histories.testing.ts';

t.setTimeout(180_000);

const history = { seed: seedOfTests, steps: 25 };
const all = await placements();
const [left, split] = [new Random(seedOfTests).oneOf([...all.keys()].slice(0, -1)), [...all.keys()].at(-1)!];
const expected = await happenedIn(oneProcess, history);

t.test('a history is something', async (t) => {
  t.strictSame(drawHistory(seedOfTests, 25), drawHistory(seedOfTests, 25), 'the same for one seed');
  t.ok(expected.told.filter(({ answer }) => (answer as { status?: number } | undefined)?.status === 201).length >= 5, 'there are orders and payments in it');
  t.ok(expected.state['notifications.notification']!.length > 5, 'of which people were told');
});

for (const name of [left, split]) {
  t.test(`it is the same with ${name}`, { timeout: 120_000 }, async (t) => {
    for (const { claim, violations } of sameAs(expected, name, await happenedIn(all.get(name)!, history))) t.strictSame(violations, [], claim);
  });
}

t.test('what differs is seen', async (t) => {
  const { told, seen, state } = expected;
  const otherwise = { told: told.with(-1, { ...told.at(-1)!, answer: { status: 500 } }), seen: seen.with(0, { ...seen[0]!, answer: {} }), state: { ...state, 'inventory.stock': [] } };
  t.strictSame(sameAs(expected, 'it', otherwise).map(({ violations }) => violations.length), [1, 1, 1]);
});

/** Whatever is demanded of the shop is missed where it is not reached: no figure is only told. */
import t from 'tap';
import type { FullHouse } from './full-house.ts';
import { QUESTIONS } from './questions.ts';
import { ofComparison } from './report.ts';
import { scenarios } from './scenarios.ts';
import { ofEvents, ofOutbox, ofOverload, ofSize, ofStorm, ofTracing } from './verdicts.ts';

const times = (p99: number) => ({ p50: 1, p99, p999: p99, max: p99, cpuUs: 1, turnedAway: 0, perSecond: 1, generator: { late: 0, sent: p99 } });
const same = (ratio: number) => ({ median: ratio, min: ratio, max: ratio });
const rounds = { perSecond: { median: 1, min: 1, max: 1 }, p50: 1, p99: 1, cpuUs: { median: 100, min: 100, max: 100 }, throughPerSecond: undefined };

function missed(findings: ReturnType<typeof ofStorm>): string[] {
  return findings.filter(({ holds }) => holds === false).map(({ what }) => what.trim());
}

t.test('sign-ins may slow neither steady orders nor as many as the shop takes', async (t) => {
  const storm = (steady: number, full: number) => ({
    ordersPerSecond: 200,
    steady: { alone: times(20), during: times(20 * steady), ratio: same(steady) },
    full: { alone: times(100), during: times(100 * full), ratio: same(full) },
    checksPerSecond: 30,
    refusedPerSecond: 0,
  });
  const finding = 'p99 beside that without sign-ins, median of the rounds';
  t.same(missed(ofStorm(storm(1.5, 1.5))), []);
  t.same(missed(ofStorm(storm(1.6, 1.5))), [finding]);
  t.same(missed(ofStorm(storm(1.5, 1.6))), [finding]);
});

t.test('overload must be refused soon, and be over when it is over', async (t) => {
  const good = { peak: 1_000, goodput: 900, kept: same(0.9), taken: times(100), refused: times(50), late: times(1), before: times(20), after: times(30), wrongAfter: 0, waitsAfter: 1_000 };
  t.same(missed(ofOverload(good)), []);
  t.same(missed(ofOverload({ ...good, kept: same(0.89) })), ['taken when 3 times as many are sent, beside that, median of the rounds']);
  t.same(missed(ofOverload({ ...good, refused: { ...times(40), p999: 51 } })), ['the others are refused within, p99.9']);
  t.same(missed(ofOverload({ ...good, after: times(31) })), ['10 s after it, p99 beside that before it']);
  t.same(missed(ofOverload({ ...good, wrongAfter: 1 })), ['10 s after it, orders not taken']);
  t.same(missed(ofOverload({ ...good, waitsAfter: 1_001 })), ['10 s after it, so long has the oldest work waited, of all rounds']);
});

t.test('products, lists and orders are answered nearly as fast as by hand', async (t) => {
  const floors = Object.fromEntries(scenarios.map(({ part, floor }) => [part, floor]));
  t.match(floors, { product: 0.95, list: 0.9, orders: 0.85 });
  const beside = (ratio: number) => ofComparison('it', 0.85, { shop: rounds, yardstick: rounds, ratio: same(ratio) });
  t.same(missed(beside(0.85)), []);
  t.same(missed(beside(0.84)), ['it, answers/s']);
});

t.test('events are handled soon, one by one and when many wait', async (t) => {
  const good = { atRate: { p50: 5, p99: 25 }, drainSeconds: 15 };
  t.same(missed(ofEvents(good)), []);
  t.same(missed(ofEvents({ ...good, atRate: { p50: 5.1, p99: 25 } })), ['commit to handled at 200 events/s, p50']);
  t.same(missed(ofEvents({ ...good, atRate: { p50: 5, p99: 26 } })), ['commit to handled at 200 events/s, p99']);
  t.same(missed(ofEvents({ ...good, drainSeconds: 16 })), ['100,000 waiting events are handled within']);
});

t.test('a full house may make each question half as slow again', async (t) => {
  const house = (slow?: string) => Object.fromEntries(QUESTIONS.map((question) => [question, { few: times(10), many: { ...times(30), p50: question === slow ? 1.51 : 1.5 } }])) as unknown as FullHouse;
  t.same(missed(ofSize(house())), []);
  for (const question of QUESTIONS) t.same(missed(ofSize(house(question))), ['p50 beside that with the demo data']);
  const turning = (turnedAway: number): FullHouse => ({ ...house(), list: { few: times(10), many: { ...times(10), turnedAway } } });
  t.same(missed(ofSize(turning(0.01))), []);
  t.same(missed(ofSize(turning(0.011))), ['turned away of those with all that']);
});

t.test('the outbox may take a fifth of the orders', async (t) => {
  t.same(missed(ofOutbox({ published: 1, unpublished: 1, ratio: same(0.8) })), []);
  t.same(missed(ofOutbox({ published: 1, unpublished: 1, ratio: same(0.79) })), ['with its event beside that, median of the rounds']);
});

t.test('tracing that is switched off may take half a percent of a request', async (t) => {
  const cost = (places: number) => ({ nsPerPlace: 10, requests: [{ title: 'GET', places, off: rounds, on: rounds }] });
  t.same(missed(ofTracing(cost(50))), []);
  t.same(missed(ofTracing(cost(51))), ['what they take with tracing off, of the CPU time']);
});

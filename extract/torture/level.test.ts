/** What leaks is found, and what goes up and down is not. */
import t from 'tap';
import { levelsOff, type Series, type TableSizes, tablesLevelOff } from './level.testing.ts';
import { Random } from './random.testing.ts';

const SAMPLES = 200;
const memory: Omit<Series, 'values'> = { name: 'memory', by: 'median', tolerance: 1.1, slack: 8, unit: 'MiB' };

function series(at: (part: number, random: Random) => number): number[] {
  const random = new Random(7);
  return Array.from({ length: SAMPLES }, (_, n) => at(n / SAMPLES, random));
}

function violations(values: readonly number[], by: Series['by'] = 'median'): number {
  return levelsOff({ ...memory, by, values }).violations.length;
}

/** Garbage that is collected ten times in all. */
const sawtooth = (part: number): number => 60 * ((part * 10) % 1);

t.test('what is level, or was filled at the beginning, is level', async (t) => {
  t.equal(violations(series(() => 200)), 0);
  t.equal(violations(series((_, random) => 200 + random.between(-30, 30))), 0, 'it trembles');
  t.equal(violations(series((part) => 80 + 120 * Math.min(1, part / 0.25))), 0, 'it warms up');
  t.equal(violations(series((part) => 200 + 100 * (1 - Math.exp(-part * 12)))), 0, 'it comes closer and closer to where it stays');
  t.equal(violations(series((part) => 300 - 100 * part)), 0, 'it shrinks');
  t.equal(violations(series((part) => 100 + sawtooth(part)), 'low water'), 0, 'it is collected');
});

t.test('what leaks is found', async (t) => {
  t.equal(violations(series((part) => 200 + 100 * part)), 1, 'by a half in all');
  t.equal(violations(series((part, random) => 200 + 80 * part + random.between(-30, 30))), 1, 'trembling');
  t.equal(violations(series((part) => 200 + (part > 0.7 ? 60 : 0))), 1, 'at once, late');
  t.equal(violations(series((part) => 100 + sawtooth(part) + 50 * part), 'low water'), 1, 'under what is collected');
  t.match(levelsOff({ ...memory, values: series((part) => 200 + 100 * part) }), { claim: 'memory levels off, within 10 % and 8 MiB', violations: ['its median was 234 MiB early and is 290.5 late; 265.4 would be level'] });
});

const MIB = 2 ** 20;

/** Orders grow from 1,000 to 11,000. */
function tables(at: (part: number, orders: number) => { rows: number; bytes: number }): TableSizes[] {
  return series((part) => part).map((part) => {
    const orders = 1_000 + 10_000 * part;
    const { rows, bytes } = at(part, orders);
    return { orders, tables: [{ table: 'orders.thing', liveRows: rows, deadRows: 0, bytes }] };
  });
}

function found(at: Parameters<typeof tables>[0]): number[] {
  return tablesLevelOff(tables(at)).map(({ violations: wrong }) => wrong.length);
}

t.test('tables that grow with orders, or not at all, are level', async (t) => {
  t.same(found((_, orders) => ({ rows: orders * 3, bytes: orders * 3 * 2_000 })), [0, 0], 'an outbox that keeps its events');
  t.same(found(() => ({ rows: 50, bytes: 4 * MIB })), [0, 0], 'a few rows that are changed all the time');
  t.same(found((part) => ({ rows: 50, bytes: 4 * MIB * (1 + 0.2 * ((part * 20) % 1)) })), [0, 0], 'dead rows that are removed again and again');
  t.same(found(() => ({ rows: 0, bytes: 16_384 })), [0, 0], 'nothing at all');
});

t.test('rows that nobody removes are found, and dead ones that are not', async (t) => {
  t.same(found((_, orders) => ({ rows: (orders * orders) / 1_000, bytes: (orders * orders) / 5 })), [1, 0], 'more and more rows for each order');
  t.same(found((part) => ({ rows: 50, bytes: (1 + 20 * part) * MIB })), [0, 1], 'room for rows that do not become more');
  t.same(found((part, orders) => ({ rows: orders, bytes: orders * 2_000 * (1 + 3 * part) })), [0, 1], 'more and more room for each row');
  t.match(tablesLevelOff(tables((part) => ({ rows: 50, bytes: (1 + 20 * part) * MIB })))[1]!.violations, [/^orders\.thing went from 9\.\d MiB for 50 rows to 20\.9 MiB for 50, 0 dead/]);
});

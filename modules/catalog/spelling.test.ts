import t from 'tap';
import { distance, mayBeMisspelt, suggestions, swaps } from './spelling.ts';

t.test('a slip is a letter too many, too few, wrong, or swapped with its neighbour', async (t) => {
  const slips: Record<string, number> = { lamp: 0, lampp: 1, lmp: 1, lemp: 1, lmap: 1, alpm: 2, amp: 1, table: 4 };
  for (const [word, expected] of Object.entries(slips)) t.equal(distance(word, 'lamp'), expected, word);
  t.equal(distance('', 'lamp'), 4);
  t.equal(distance('lamp', ''), 4);
});

t.test('short words, numbers and model names are meant as they are written', async (t) => {
  t.ok(mayBeMisspelt('lmap'));
  for (const word of ['mgu', '2024', 'hd5000']) t.notOk(mayBeMisspelt(word), word);
});

t.test('every two neighbours are swapped once', async (t) => {
  t.same(swaps('lamp'), ['almp', 'lmap', 'lapm']);
  t.same(swaps('é'), []);
});

t.test('the nearest words are suggested, and none that are too far', async (t) => {
  t.same(suggestions('lmap', ['lamp', 'lamps', 'map', 'clamp']), ['lamp', 'map']);
  t.same(suggestions('blnaket', ['blanket', 'basket']), ['blanket']);
  t.same(suggestions('lamp', ['table']), []);
  t.same(suggestions('lamp', []), []);
});

t.test('two slips are forgiven in long words only', async (t) => {
  t.same(suggestions('hedfones', ['headphones']), []);
  t.same(suggestions('hedphnes', ['headphones']), ['headphones']);
  t.same(suggestions('bskt', ['basket']), []);
});

t.test('the beginning of a word stands for the word', async (t) => {
  t.same(suggestions('headph', ['headphones', 'headlamp']), ['headphones']);
});

t.test('no more than three words stand for one', async (t) => {
  t.equal(suggestions('bats', ['cats', 'hats', 'mats', 'rats']).length, 3);
});

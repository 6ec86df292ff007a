/** Figures get into the page as they were measured, and nothing else of it changes. */
import { readFile } from 'node:fs/promises';
import t from 'tap';
import { pagePath, partsWithoutPlace, type Section, withSection } from './page.ts';
import { atMost, told } from './report.ts';

const section: Section = {
  part: 'outbox',
  at: new Date('2026-11-29T11:30:00Z'),
  machine: { node: 'v24.0.0', postgresql: '18.4', cores: 2, processor: 'Abacus', grouping: 'in one group' },
  rounds: 3,
  seconds: 5,
  loadBefore: 0.52,
  loadAfter: 2,
  findings: [told('orders', '100'), atMost('  half of them', 50, 'ms', 60), atMost('all', 70, 'ms', 60)],
};
const page = (content: string) => `before\n<!-- figures of outbox: begin -->\n${content}\n<!-- figures of outbox: end -->\nafter\n`;

t.test('a part that was measured anew replaces its figures and leaves everything else', async (t) => {
  const written = withSection(page('old'), section);
  t.match(written, /^before\n/);
  t.match(written, /\nafter\n$/);
  t.notMatch(written, 'old');
  t.match(written, '2026-11-29 11:30 UTC, 2 x Abacus, load average 0.5 before the run and 2.0 at the end, Node v24.0.0, PostgreSQL 18.4, all in one group; rounds: 3 of 5 s.');
  t.match(written, '| … half of them |  |  | 50.00 ms | <= 60 ms | held |');
  t.equal(withSection(written, section), written, 'as often as one likes');
});

t.test('a busy machine is named', async (t) => {
  t.notMatch(withSection(page(''), section), 'busy');
  t.match(withSection(page(''), { ...section, loadBefore: 2.1 }), 'The machine was busy with other things');
});

t.test('a missed floor is shown as missed', async (t) => {
  t.match(withSection(page(''), section), '| all |  |  | 70.00 ms | <= 60 ms | **missed** |');
});

t.test('a page without a place for a part is no page', async (t) => {
  t.throws(() => withSection('nothing here', section), /no place for the part outbox/);
  t.same(partsWithoutPlace(page('')).includes('outbox'), false);
  t.same(partsWithoutPlace('').includes('outbox'), true);
});

t.test('the page has a place for every part that can be measured', async (t) => {
  t.same(partsWithoutPlace(await readFile(pagePath, 'utf8')), []);
});

/** Invariant I1: every rule refuses the project that breaks it, with the message that helps, and this project breaks none. */
import t from 'tap';
import { join } from 'node:path';
import { readTree } from '../source/tree.ts';
import { checkBoundaries } from './boundaries.ts';
import { brokenProjects, soundProject } from './fixtures.ts';
import { formatViolations, rules } from './violation.ts';

t.test('a project that keeps the rules is let through', async (t) => {
  t.equal(formatViolations(checkBoundaries(soundProject())), '');
});

for (const { name, tree, expected } of brokenProjects()) {
  t.test(`${name} is refused with every violation, the rule, what is legal and what to do`, async (t) => {
    const violations = checkBoundaries(tree);
    t.equal(formatViolations(violations), expected);
    t.ok(
      violations.some(({ rule }) => rule === name.split('.')[0]),
      'by the rule that it is named after',
    );
  });
}

t.test('every rule has a project that breaks it', async (t) => {
  const broken = new Set(brokenProjects().map(({ name }) => name.split('.')[0]));
  t.same(
    Object.keys(rules).filter((rule) => !broken.has(rule)),
    [],
  );
});

t.test('violations of several rules are told at once', async (t) => {
  const rulesBroken = ['extract-through-contracts', 'kernel-knows-no-module', 'migrations-belong-to-modules', 'top-level-is-closed'];
  const changed = brokenProjects().filter(({ name }) => rulesBroken.includes(name));
  const base = soundProject();
  const worst = new Map([...base, ...changed.flatMap(({ tree }) => [...tree].filter(([path, text]) => base.get(path) !== text))]);
  t.same([...new Set(checkBoundaries(worst).map(({ rule }) => rule))].toSorted(), rulesBroken);
});

t.test('this project keeps the rules', async (t) => {
  t.equal(formatViolations(checkBoundaries(readTree(join(import.meta.dirname, '..', '..', '..')))), '');
});

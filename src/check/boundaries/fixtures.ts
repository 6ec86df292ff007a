/** Projects that break one rule each: `base` with some of its files replaced, added or, by `without.txt`, removed. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readTree, type Tree } from '../source/tree.ts';

const folder = join(import.meta.dirname, 'fixtures');
const notes = new Set(['expected.txt', 'without.txt']);

export interface Fixture {
  /** The rule that it breaks, and after a dot what sets it apart from others that do. */
  readonly name: string;
  readonly tree: Tree;
  readonly expected: string;
}

/** The project that breaks no rule. */
export function soundProject(): Tree {
  return readTree(join(folder, 'base'));
}

/** All projects that must be refused, with the message. */
export function brokenProjects(): Fixture[] {
  const names = readdirSync(folder).filter((name) => name !== 'base');
  return names.toSorted().map((name) => ({ name, tree: treeOf(name), expected: readFileSync(join(folder, name, 'expected.txt'), 'utf8') }));
}

function treeOf(name: string): Tree {
  const tree = new Map([...soundProject(), ...readTree(join(folder, name))]);
  const without = join(folder, name, 'without.txt');
  const removed = existsSync(without) ? readFileSync(without, 'utf8').split('\n') : [];
  for (const path of [...notes, ...removed]) tree.delete(path);
  return tree;
}

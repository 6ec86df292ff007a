/**
 * Invariant I1: a module is reached through its contract alone. The whole project is read, every rule looks at all of it,
 * and what breaks a rule is reported in one go with the rule, what would be legal, and what to do.
 */
import type { Tree } from '../source/tree.ts';
import { needsOf } from './declarations.ts';
import { importViolations } from './imports.ts';
import { kernelNameViolations } from './kernel-names.ts';
import { needViolations } from './needs.ts';
import { readProject } from './project.ts';
import { shapeViolations } from './shape.ts';
import type { Violation } from './violation.ts';

/** Everything in the tree that breaks a rule of `violation.ts`. */
export function checkBoundaries(tree: Tree): Violation[] {
  const project = readProject(tree);
  return [...importViolations(project), ...needViolations(needsOf(project)), ...kernelNameViolations(project), ...shapeViolations(project)];
}

/** Rules about what modules need of each other: declared, used, and without cycles. */
import { contractPath } from './layout.ts';
import { definitionPath, type Needs, type Reference } from './declarations.ts';
import type { Violation } from './violation.ts';

export function needViolations(needs: readonly Needs[]): Violation[] {
  const rules = [undeclaredEvents, undeclaredCalls, unusedDependencies, unusedConsumed];
  return [...needs.flatMap((need) => rules.flatMap((violationsOf) => violationsOf(need))), ...cycles(needs)];
}

function undeclaredEvents(need: Needs): Violation[] {
  return firstOfEach(need.used.consumes, need.declared.consumes).map(({ module: other, file, line }) => ({
    rule: 'consumed-events-are-declared',
    file,
    line,
    found: `${need.module} handles events of ${other}, which is not in its consumes`,
    legal: `contracts in consumes: ${listed(need.declared.consumes)}`,
    remedy: `Add ${other} to consumes in ${definitionPath(need.module)}.`,
  }));
}

function undeclaredCalls(need: Needs): Violation[] {
  const unexplained = need.imported.filter(({ module }) => !has(need.declared.consumes, module) && !has(need.used.consumes, module));
  return firstOfEach([...need.used.dependencies, ...unexplained], need.declared.dependencies).map(({ module: other, file, line }) => ({
    rule: 'dependencies-are-declared',
    file,
    line,
    found: `${need.module} uses the contract of ${other}, which is not in its dependencies`,
    legal: `contracts in dependencies: ${listed(need.declared.dependencies)}`,
    remedy: `Add ${other} to dependencies in ${definitionPath(need.module)}, or do without ${contractPath(other)}.`,
  }));
}

function unusedDependencies(need: Needs): Violation[] {
  return firstOfEach(need.declared.dependencies, need.used.dependencies).map(({ module: other, file, line }) => ({
    rule: 'dependencies-are-used',
    file,
    line,
    found: `${need.module} depends on ${other} and takes neither clients.${other} nor a schema of it`,
    legal: `contracts that the module uses: ${listed(need.used.dependencies)}`,
    remedy: `Take ${other} out of dependencies.`,
  }));
}

function unusedConsumed(need: Needs): Violation[] {
  return firstOfEach(need.declared.consumes, need.used.consumes).map(({ module: other, file, line }) => ({
    rule: 'consumed-events-are-used',
    file,
    line,
    found: `${need.module} consumes ${other} and handles no event of it`,
    legal: `contracts whose events the module handles: ${listed(need.used.consumes)}`,
    remedy: `Take ${other} out of consumes, or handle one of its events with on(${other}.events.…).`,
  }));
}

/** The first reference to each module that the other list does not name. */
function firstOfEach(references: readonly Reference[], known: readonly Reference[]): Reference[] {
  const first = new Map<string, Reference>();
  for (const reference of references) {
    if (!has(known, reference.module) && !first.has(reference.module)) first.set(reference.module, reference);
  }
  return [...first.values()];
}

function has(references: readonly Reference[], module: string): boolean {
  return references.some((reference) => reference.module === module);
}

function listed(references: readonly Reference[]): string {
  return [...new Set(references.map(({ module }) => module))].toSorted().join(', ') || 'none';
}

/** One violation per cycle, at the declaration that closes it, seen from the module that is first by name. */
function cycles(needs: readonly Needs[]): Violation[] {
  const edges = new Map(needs.map(({ module, declared }) => [module, [...declared.dependencies, ...declared.consumes]]));
  const found = new Map<string, Violation>();
  for (const start of [...edges.keys()].toSorted()) {
    const path = shortestCycle(edges, start);
    const key = path && path.toSorted().join();
    if (path && key !== undefined && !found.has(key)) found.set(key, cycle(path, edges));
  }
  return [...found.values()];
}

/** The shortest way from a module back to itself, breadth first. */
function shortestCycle(edges: ReadonlyMap<string, readonly Reference[]>, start: string): string[] | undefined {
  const queue: string[][] = [[start]];
  const seen = new Set<string>();
  for (const path of queue) {
    for (const { module: next } of edges.get(path.at(-1)!) ?? []) {
      if (next === start) return path;
      if (!seen.has(next)) queue.push([...path, next]);
      seen.add(next);
    }
  }
  return undefined;
}

function cycle(path: readonly string[], edges: ReadonlyMap<string, readonly Reference[]>): Violation {
  const last = path.at(-1)!;
  const closing = edges.get(last)!.find(({ module }) => module === path[0])!;
  return {
    rule: 'no-cycles',
    file: closing.file,
    line: closing.line,
    found: `${[...path, path[0]].join(' → ')}`,
    legal: `needs of ${last} that do not lead back to it`,
    remedy: 'Let one of them publish an event that the other handles, or pass what it needs in the operation that is called anyway.',
  };
}

/** The rules of invariant I1 as sentences, and how what breaks them is told: all at once, each with the way out. */

/** Every rule that `checkBoundaries` holds; each has a fixture under `fixtures/` that must break it. */
export const rules = {
  'one-public-door': 'A module reaches another module through its contract.ts alone.',
  'kernel-door': 'A module reaches the kernel through #kernel alone, its tests also through #testing.',
  'kernel-knows-no-module': 'The kernel knows modules as a type, never by name.',
  'extract-through-contracts': 'What moves modules reaches them through their contracts alone.',
  'contract-stands-alone': 'A contract imports #kernel and TypeBox and nothing else.',
  'dependencies-are-declared': 'A module declares in `dependencies` whose operations it calls and whose schemas it uses.',
  'dependencies-are-used': 'A module depends on no contract that it does not use.',
  'consumed-events-are-declared': 'A module declares in `consumes` whose events it handles.',
  'consumed-events-are-used': 'A module consumes no contract whose events it does not handle.',
  'no-cycles': 'Modules depend on each other in one direction.',
  'production-without-tests': 'Code that runs in production imports nothing that is made for tests or checks.',
  'imports-are-literal': 'What a module imports can be read off its source.',
  'packages-are-declared': 'Every package that is imported stands in package.json.',
  'module-is-complete': 'A module has a README.md, a contract.ts and a module.ts, and its contract bears its name.',
  'migrations-belong-to-modules': 'A folder of migrations belongs to a module of the same name.',
  'top-level-is-closed': 'The top level holds what docs/architecture.md lists and nothing else.',
} as const;

export type Rule = keyof typeof rules;

export interface Violation {
  readonly rule: Rule;
  readonly file: string;
  readonly line: number;
  /** What stands there. */
  readonly found: string;
  /** What may stand there instead. */
  readonly legal: string;
  /** What to do about it. */
  readonly remedy: string;
}

/** All violations as text, by file and line; an empty string when there are none. */
export function formatViolations(violations: readonly Violation[]): string {
  if (violations.length === 0) return '';
  const sorted = violations.toSorted((a, b) => compare(a.file, b.file) || a.line - b.line || compare(a.found, b.found));
  const count = sorted.length === 1 ? '1 boundary violation' : `${sorted.length} boundary violations`;
  return `${count}\n\n${sorted.map(format).join('\n')}`;
}

function format(violation: Violation): string {
  return [
    `${violation.file}:${violation.line}  ${violation.found}`,
    `  rule   ${rules[violation.rule]} (${violation.rule})`,
    `  legal  ${violation.legal}`,
    `  do     ${violation.remedy}`,
    '',
  ].join('\n');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

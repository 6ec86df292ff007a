/** The routes of a module, as the document of its service tells them: what each one does with a token. */
import type { KnownRoute, TokenUse } from '../../src/http/forward.ts';
import type { DocumentedOperation, Paths } from './openapi-document.ts';

interface Template {
  readonly segments: readonly string[];
  readonly route: KnownRoute;
}

/** As the router of a service has it: longer ones are refused. */
const LONGEST_SEGMENT = 100;

export class KnownRoutes {
  /** By method and number of segments, fixed segments before parameters. */
  readonly #templates: ReadonlyMap<string, readonly Template[]>;

  constructor(paths: Paths) {
    const entries = Object.entries(paths).flatMap(([path, operations]) => Object.entries(operations).map(([method, operation]) => [method.toUpperCase(), templateOf(path, operation)] as const));
    const ordered = entries.toSorted(([, a], [, b]) => byFixedSegments(a.segments, b.segments));
    const grouped = Map.groupBy(ordered, ([method, { segments }]) => keyOf(method, segments));
    this.#templates = new Map([...grouped].map(([key, group]) => [key, group.map(([, template]) => template)]));
  }

  /**
   * The route that a service takes for this request. Whatever a router might see differently (escapes, empty or endless segments) is
   * not decided here: undefined.
   */
  find(method: string, url: string): KnownRoute | undefined {
    const path = url.split('?', 1)[0]!;
    if (path.includes('%') || path.includes('#')) return undefined;
    const segments = path.split('/');
    const candidates = this.#templates.get(keyOf(method === 'HEAD' ? 'GET' : method, segments));
    return candidates?.find((candidate) => fits(candidate.segments, segments))?.route;
  }
}

function keyOf(method: string, segments: readonly string[]): string {
  return `${method} ${segments.length}`;
}

function templateOf(path: string, operation: DocumentedOperation): Template {
  return { segments: path.split('/'), route: { pattern: path.replaceAll(/\{([^}]+)\}/g, ':$1'), token: tokenUse(operation) } };
}

function tokenUse({ security = [] }: DocumentedOperation): TokenUse {
  if (security.length === 0) return 'ignored';
  return security.some((scheme) => Object.keys(scheme).length === 0) ? 'optional' : 'needed';
}

function isParameter(segment: string): boolean {
  return segment.startsWith('{');
}

function byFixedSegments(a: readonly string[], b: readonly string[]): number {
  const shape = (segments: readonly string[]) => segments.map((segment) => (isParameter(segment) ? '1' : '0')).join('');
  return shape(a) < shape(b) ? -1 : 1;
}

function fits(template: readonly string[], segments: readonly string[]): boolean {
  return template.every((part, n) => (isParameter(part) ? segments[n] !== '' && segments[n]!.length <= LONGEST_SEGMENT : part === segments[n]));
}

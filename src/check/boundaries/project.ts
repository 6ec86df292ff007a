/** The project as the rules get it. */
import type { Facts } from '../source/facts.ts';
import { gatherFacts } from '../source/facts.ts';
import type { Tree } from '../source/tree.ts';
import { contractPath, type Manifest, manifestOf, modulesOf, moduleOf, resolve, type Target } from './layout.ts';

/** One import with where it leads. */
export interface Edge {
  readonly file: string;
  readonly line: number;
  readonly specifier: string | undefined;
  readonly target: Target;
  readonly names: readonly { readonly imported: string; readonly local: string }[];
}

export interface Project {
  readonly tree: Tree;
  readonly modules: readonly string[];
  readonly manifest: Manifest;
  readonly facts: ReadonlyMap<string, Facts>;
  readonly edges: readonly Edge[];
}

export function readProject(tree: Tree): Project {
  const manifest = manifestOf(tree);
  const facts = gatherFacts(tree);
  const edges = [...facts].flatMap(([file, { imports }]) =>
    imports.map(({ specifier, line, names }): Edge => {
      const target = specifier === undefined ? { kind: 'unknown' as const } : resolve(file, specifier, manifest);
      return { file, line, specifier, names, target };
    }),
  );
  return { tree, modules: modulesOf(tree), manifest, facts, edges };
}

/** The module whose contract an import takes something from; undefined for every other import. */
export function contractBehind(edge: Edge): string | undefined {
  if (edge.target.kind !== 'path') return undefined;
  const module = moduleOf(edge.target.path);
  return module !== undefined && edge.target.path === contractPath(module) ? module : undefined;
}

/** The constant under which a module's contract.ts exports its contract. */
export function contractConstant(project: Project, module: string): string | undefined {
  return project.facts.get(contractPath(module))?.calls.find(({ callee }) => callee === 'defineContract')?.local;
}

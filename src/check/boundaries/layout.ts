/** Which part of the project a path belongs to. Modules are found on disk, never listed. */
import { posix } from 'node:path';
import type { Tree } from '../source/tree.ts';

/** Names of the modules: the folders under `modules/`. */
export function modulesOf(tree: Tree): string[] {
  return foldersUnder(tree, 'modules');
}

/** Names of the folders right under a folder. */
export function foldersUnder(tree: Tree, folder: string): string[] {
  const names = [...tree.keys()].filter((path) => path.startsWith(`${folder}/`)).map((path) => path.split('/'));
  return [...new Set(names.filter((parts) => parts.length > 2).map((parts) => parts[1]!))].toSorted();
}

/** The module that owns a file; undefined outside `modules/`. */
export function moduleOf(path: string): string | undefined {
  const [top, name, ...rest] = path.split('/');
  return top === 'modules' && rest.length > 0 ? name : undefined;
}

/** The one file of a module that others may import. */
export function contractPath(module: string): string {
  return `modules/${module}/contract.ts`;
}

/** Test files, what they share (`*.testing.ts`), and the folders of the kernel that exist for tests and checks. */
export function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || path.endsWith('.testing.ts') || path.startsWith('src/testing/') || path.startsWith('src/check/');
}

/** Where a specifier leads: a path of this project, a package, Node itself, or nowhere that is known. */
export type Target =
  | { readonly kind: 'path'; readonly path: string; readonly alias: string | undefined }
  | { readonly kind: 'package'; readonly name: string }
  | { readonly kind: 'builtin' }
  | { readonly kind: 'unknown' };

export interface Manifest {
  readonly imports?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

/** The project's package.json; an empty one where the tree has none. */
export function manifestOf(tree: Tree): Manifest {
  return JSON.parse(tree.get('package.json') ?? '{}') as Manifest;
}

export function resolve(from: string, specifier: string, manifest: Manifest): Target {
  if (specifier.startsWith('.')) return { kind: 'path', path: posix.join(posix.dirname(from), specifier), alias: undefined };
  if (specifier.startsWith('node:')) return { kind: 'builtin' };
  if (specifier.startsWith('#')) {
    const path = manifest.imports?.[specifier];
    return path ? { kind: 'path', path: posix.normalize(path), alias: specifier } : { kind: 'unknown' };
  }
  const parts = specifier.split('/');
  return { kind: 'package', name: parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/') };
}

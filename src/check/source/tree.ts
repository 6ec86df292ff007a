/** The project as text: what the checks look at. A fixture is a tree as well, so rules never touch the disk. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';

/** Paths from the root, with slashes, to the text of each source file; other files have an empty text. */
export type Tree = ReadonlyMap<string, string>;

const unread = new Set(['node_modules', 'fixtures']);

/** Reads a project. Dotfiles, installed packages, logs and the checks' own bad examples are no part of it. */
export function readTree(root: string): Tree {
  const tree = new Map<string, string>();
  collect(root, '', tree);
  return tree;
}

function collect(root: string, folder: string, tree: Map<string, string>): void {
  const entries = readdirSync(join(root, folder), { withFileTypes: true });
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.name.startsWith('.') || entry.name.endsWith('.log') || unread.has(entry.name)) continue;
    const path = posix.join(folder, entry.name);
    if (entry.isDirectory()) collect(root, path, tree);
    else tree.set(path, isSource(path) ? readFileSync(join(root, path), 'utf8') : '');
  }
}

/** Whether the text of a file matters: TypeScript, and the manifest that names the packages. */
export function isSource(path: string): boolean {
  return path.endsWith('.ts') || path === 'package.json';
}

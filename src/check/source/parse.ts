/**
 * Syntax trees of TypeScript files by TypeScript's own parser. dependency-cruiser was tried first: it knows TypeScript only
 * up to version 6. Stripping the types and reading what is left was rejected too, because it loses `import type`.
 * The parser is a child process that answers within some 30 ms; it resolves nothing and reads nothing but what it is given.
 */
import { API } from 'typescript/unstable/sync';
import { createVirtualFileSystem } from 'typescript/unstable/fs';
import type { SourceFile } from 'typescript/unstable/ast';

const ROOT = '/tree';

/** Parses each file and hands it to `read`; the syntax trees do not outlive the call. */
export function parseAll<T>(files: ReadonlyMap<string, string>, read: (source: SourceFile, path: string) => T): Map<string, T> {
  const config = {
    compilerOptions: { noLib: true, noResolve: true, types: [], module: 'nodenext', allowImportingTsExtensions: true, noEmit: true },
    files: [...files.keys()],
  };
  const virtual = Object.fromEntries([...files].map(([path, text]) => [`${ROOT}/${path}`, text]));
  const api = new API({ cwd: ROOT, fs: createVirtualFileSystem({ ...virtual, [`${ROOT}/tsconfig.json`]: JSON.stringify(config) }) });
  try {
    const project = api.updateSnapshot({ openProjects: [`${ROOT}/tsconfig.json`] }).getProject(`${ROOT}/tsconfig.json`);
    return new Map([...files.keys()].map((path) => [path, read(parsed(project?.program.getSourceFile(`${ROOT}/${path}`), path), path)]));
  } finally {
    api.close();
  }
}

function parsed(source: SourceFile | undefined, path: string): SourceFile {
  if (!source) throw new Error(`${path} could not be parsed: run npm run types to see why`);
  return source;
}

/** Finds the modules on disk: each folder of `modules/` with a `module.ts` is one. */
import { access, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { AnyModule } from '../module.ts';

/** The project's folder. */
export const projectRoot = join(import.meta.dirname, '..', '..');

/** Definitions of all modules, by name. Loading one has no effect outside the process. */
export async function discoverModules(root = join(projectRoot, 'modules')): Promise<AnyModule[]> {
  const folders = (await readdir(root, { withFileTypes: true })).filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  const files = folders.sort().map((name) => join(root, name, 'module.ts'));
  const present = await Promise.all(files.map(async (file) => access(file).then(() => file, () => undefined)));
  return Promise.all(present.filter((file) => file !== undefined).map(loadModule));
}

async function loadModule(file: string): Promise<AnyModule> {
  const loaded = (await import(pathToFileURL(file).href)) as { default?: AnyModule };
  if (!loaded.default?.contract) throw new TypeError(`${file} must export defineModule({ … }) as default`);
  return loaded.default;
}

/**
 * Modules with each one after those it calls.
 * @throws TypeError when a dependency is missing or modules depend on each other in a circle
 */
export function inDependencyOrder(modules: readonly AnyModule[]): AnyModule[] {
  const byName = new Map(modules.map((module) => [module.contract.name, module]));
  const ordered: AnyModule[] = [];
  const visit = (module: AnyModule, path: readonly string[]): void => {
    const { name } = module.contract;
    if (path.includes(name)) throw new TypeError(`modules depend on each other in a circle: ${[...path, name].join(' → ')}`);
    if (ordered.includes(module)) return;
    for (const dependency of Object.values(module.dependencies)) {
      const found = byName.get(dependency.name);
      if (found) visit(found, [...path, name]);
    }
    ordered.push(module);
  };
  for (const module of modules) visit(module, []);
  return ordered;
}

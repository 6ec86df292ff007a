/** The shop as a plan looks at it: contracts, what each way into a module leads to, tables, and what breaks the rules of modules. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkBoundaries } from '../../src/check/boundaries/boundaries.ts';
import type { Violation } from '../../src/check/boundaries/violation.ts';
import { readTree, type Tree } from '../../src/check/source/tree.ts';
import type { Contract } from '../../src/contract/contract.ts';
import { type MigratedTable, tablesIn } from '../../src/database/migrated-tables.ts';
import { discoverModules } from '../../src/host/discover.ts';
import type { AnyModule } from '../../src/module.ts';
import { type Entry, type ModuleCode, readCode } from './code/module-code.ts';

export interface Shop {
  readonly modules: readonly AnyModule[];
  readonly code: ReadonlyMap<string, ModuleCode>;
  readonly tables: ReadonlyMap<string, readonly MigratedTable[]>;
  readonly violations: readonly Violation[];
}

/** Reads the project at `root`; starts nothing and needs no database. */
export async function readShop(root: string, tree: Tree = readTree(root)): Promise<Shop> {
  const modules = await discoverModules(join(root, 'modules'));
  const contracts = modules.map(({ contract }) => contract);
  const code = readCode(tree, modules.map(({ contract, dependencies, paths = [] }) => ({ contract, dependencies: Object.values(dependencies), contracts, paths })));
  return {
    modules,
    code: new Map(code.map((each) => [each.module, each])),
    tables: new Map(contracts.map(({ name }) => [name, tablesIn(migrationsOf(root, tree, name))])),
    violations: checkBoundaries(tree),
  };
}

function migrationsOf(root: string, tree: Tree, module: string): string[] {
  const files = [...tree.keys()].filter((path) => path.startsWith(`migrations/${module}/`) && path.endsWith('.sql'));
  return files.toSorted().map((path) => readFileSync(join(root, path), 'utf8'));
}

export function contractOf({ modules }: Shop, name: string): Contract {
  return modules.find(({ contract }) => contract.name === name)!.contract;
}

export function entriesOf({ code }: Shop, module: string): readonly Entry[] {
  return code.get(module)?.entries ?? [];
}

/** Subscribers of an event, as `<module>.<name>`. */
export function subscribersOf({ modules }: Shop, type: string): { module: string; name: string }[] {
  return modules.flatMap(({ contract, subscribes = {} }) => Object.entries(subscribes).flatMap(([name, events]) => (events.some((event) => event.type === type) ? [{ module: contract.name, name }] : [])));
}

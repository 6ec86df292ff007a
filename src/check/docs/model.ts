/** The shop as its documentation shows it: what the definitions of its modules say, and what their sources handle. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TObject } from '@sinclair/typebox';
import type { Contract, EventDefinition, Operation } from '../../contract/contract.ts';
import { discoverModules } from '../../host/discover.ts';
import { type Needs, needsOf } from '../boundaries/declarations.ts';
import { readProject } from '../boundaries/project.ts';
import { readTree, type Tree } from '../source/tree.ts';

export interface ModuleModel {
  readonly name: string;
  readonly contract: Contract;
  readonly settings: TObject;
  /** Modules whose operations it calls. */
  readonly calls: readonly string[];
  /** Events that it handles, by type. */
  readonly handles: readonly string[];
  readonly tables: readonly string[];
}

export interface ShopModel {
  readonly version: string;
  readonly modules: readonly ModuleModel[];
}

/** Reads the project at `root`. Starts nothing and needs no database. */
export async function readModel(root: string): Promise<ShopModel> {
  const tree = readTree(root);
  const definitions = await discoverModules(join(root, 'modules'));
  const handled = handledEvents(tree, definitions.map(({ contract }) => contract));
  const modules = definitions.map(({ contract, dependencies, settings }) => ({
    name: contract.name,
    contract,
    settings,
    calls: Object.values(dependencies).map(({ name }) => name).toSorted(),
    handles: handled.get(contract.name) ?? [],
    tables: tablesOf(root, tree, contract.name),
  }));
  const { version } = JSON.parse(tree.get('package.json')!) as { version: string };
  return { version, modules };
}

/** Events that each module's sources name of other contracts, and those of its own that they handle, by type: subscribers exist only once a module is set up. */
function handledEvents(tree: Tree, contracts: readonly Contract[]): Map<string, string[]> {
  const byName = new Map(contracts.map((contract) => [contract.name, contract]));
  const typesOf = ({ events }: Needs): string[] =>
    events.flatMap(({ module, event }) => {
      const definition = event === undefined ? undefined : byName.get(module)?.events[event];
      return definition ? [definition.type] : [];
    });
  return new Map(needsOf(readProject(tree)).map((needs) => [needs.module, [...new Set(typesOf(needs))].toSorted()]));
}

/** Tables that a module's migrations make, in their order. */
function tablesOf(root: string, tree: Tree, module: string): string[] {
  const files = [...tree.keys()].filter((path) => path.startsWith(`migrations/${module}/`) && path.endsWith('.sql')).toSorted();
  const created = /^\s*create (?:unlogged )?table (?:if not exists )?(\w+)/gim;
  return files.flatMap((path) => [...readFileSync(join(root, path), 'utf8').matchAll(created)]).map(([, table]) => table!);
}

export function operationsOf(contract: Contract): [string, Operation][] {
  return Object.entries(contract.operations);
}

export function eventsOf(contract: Contract): [string, EventDefinition][] {
  return Object.entries(contract.events);
}

/** Modules that handle an event. */
export function subscribersOf({ modules }: ShopModel, type: string): string[] {
  return modules.filter(({ handles }) => handles.includes(type)).map(({ name }) => name);
}

/**
 * What each module says it needs (`dependencies` and `consumes` in module.ts) against what its files use.
 *
 * A contract that is imported counts as
 * - consumed, where its events are named: `on(orders.events.orderPlaced, …)`;
 * - depended on, where its client is taken (`clients.orders`) or typed (`typeof orders`), or a schema is imported beside the contract.
 * A module may handle events of its own without declaring it: that is no need of another one, and closes no cycle.
 * The types of its events (`typeof orders.events`) and its error codes may be used under either. Tests are free: they declare nothing.
 */
import { isTest, moduleOf } from './layout.ts';
import { contractBehind, contractConstant, type Edge, type Project } from './project.ts';
import type { Property } from '../source/facts.ts';

/** A use or a declaration of another module's contract, with the place that shows it. */
export interface Reference {
  readonly module: string;
  readonly file: string;
  readonly line: number;
}

export interface Needs {
  readonly module: string;
  readonly declared: { readonly dependencies: readonly Reference[]; readonly consumes: readonly Reference[] };
  readonly used: { readonly dependencies: readonly Reference[]; readonly consumes: readonly Reference[] };
  /** Every import of another contract, whatever for. */
  readonly imported: readonly Reference[];
  /** Events handled, its own included: module and key in its contract. */
  readonly events: readonly (Reference & { readonly event: string | undefined })[];
}

/** Declared and used needs of each module that has a module.ts. */
export function needsOf(project: Project): Needs[] {
  return project.modules.filter((module) => project.tree.has(definitionPath(module))).map((module) => needsOfModule(project, module));
}

/** Where a module declares its needs. */
export function definitionPath(module: string): string {
  return `modules/${module}/module.ts`;
}

function needsOfModule(project: Project, module: string): Needs {
  const inProduction = project.edges.filter(({ file }) => moduleOf(file) === module && !isTest(file));
  const edges = inProduction.filter((edge) => (contractBehind(edge) ?? module) !== module);
  const toItself = inProduction.filter((edge) => contractBehind(edge) === module);
  const dependencies = declared(project, module, edges, 'dependencies');
  const keys = new Map(dependencies.map(({ key, module: other }) => [key, other]));
  const events = edges.flatMap((edge) => eventsThrough(edge, project));
  return {
    module,
    declared: { dependencies, consumes: declared(project, module, edges, 'consumes') },
    used: { dependencies: [...clientsTaken(project, module, keys), ...edges.flatMap((edge) => typesThrough(edge, project))], consumes: events },
    imported: edges.map((edge) => reference(contractBehind(edge)!, edge)),
    events: [...events, ...toItself.flatMap((edge) => eventsThrough(edge, project, ({ isHandled }) => isHandled))],
  };
}

type Declared = Reference & { readonly key: string };

interface Place {
  readonly file: string;
  readonly properties: readonly Property[];
}

/** The contracts in an object literal of `defineModule({ … })`, written in place or as a constant of the module. */
function declared(project: Project, module: string, edges: readonly Edge[], section: 'dependencies' | 'consumes'): Declared[] {
  const file = definitionPath(module);
  const facts = project.facts.get(file)!;
  const definition = facts.calls.find(({ callee }) => callee === 'defineModule');
  const property = definition?.properties.find(({ key }) => key === section);
  if (!property) return [];
  const place = property.properties ? { file, properties: property.properties } : constant(project, module, file, property.identifier);
  return (place?.properties ?? []).flatMap(({ key, line, identifier }) => {
    const edge = edges.find((candidate) => candidate.file === place!.file && candidate.names.some(({ local }) => local === identifier));
    return edge ? [{ key, module: contractBehind(edge)!, file: place!.file, line }] : [];
  });
}

/** An object literal that a constant holds, in this file or in the file of the module that it is imported from. */
function constant(project: Project, module: string, file: string, name: string | undefined): Place | undefined {
  if (name === undefined) return undefined;
  const here = project.facts.get(file)?.objects.get(name);
  if (here) return { file, properties: here };
  const edge = project.edges.find((candidate) => candidate.file === file && candidate.names.some(({ local }) => local === name));
  const imported = edge?.names.find(({ local }) => local === name)?.imported;
  if (edge?.target.kind !== 'path' || moduleOf(edge.target.path) !== module || imported === undefined) return undefined;
  const properties = project.facts.get(edge.target.path)?.objects.get(imported);
  return properties && { file: edge.target.path, properties };
}

function eventsThrough(edge: Edge, project: Project, counts: (use: { isHandled: boolean }) => boolean = () => true): (Reference & { event: string | undefined })[] {
  const other = contractBehind(edge)!;
  const local = localContract(edge, project);
  const events = project.facts.get(edge.file)?.events ?? [];
  return events.filter((use) => use.of === local && counts(use)).map(({ event, line }) => ({ module: other, file: edge.file, line, event }));
}

function typesThrough(edge: Edge, project: Project): Reference[] {
  const other = contractBehind(edge)!;
  const contract = contractConstant(project, other);
  const local = localContract(edge, project);
  const { file } = edge;
  const queries = (project.facts.get(file)?.typeQueries ?? []).filter(({ of, member }) => of === local && member !== 'events');
  const takesSchema = edge.names.length === 0 || edge.names.some(({ imported }) => imported !== contract);
  return [...queries.map(({ line }) => ({ module: other, file, line })), ...(takesSchema ? [reference(other, edge)] : [])];
}

function clientsTaken(project: Project, module: string, keys: ReadonlyMap<string, string>): Reference[] {
  const files = [...project.facts].filter(([file]) => moduleOf(file) === module && !isTest(file));
  return files.flatMap(([file, facts]) =>
    facts.clients.flatMap(({ key, line }) => {
      const other = keys.get(key);
      return other === undefined ? [] : [{ module: other, file, line }];
    }),
  );
}

function localContract(edge: Edge, project: Project): string | undefined {
  const contract = contractConstant(project, contractBehind(edge)!);
  return edge.names.find(({ imported }) => imported === contract)?.local;
}

function reference(module: string, { file, line }: Edge): Reference {
  return { module, file, line };
}

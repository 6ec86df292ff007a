/** What each way into a module may lead to: calls of other modules, events, sagas. Read off the sources; nothing is run. */
import type { Contract } from '../../../src/contract/contract.ts';
import { isTest, moduleOf } from '../../../src/check/boundaries/layout.ts';
import { parseAll } from '../../../src/check/source/parse.ts';
import type { Tree } from '../../../src/check/source/tree.ts';
import { guardsIn, type Manners, unitsOf, voicesIn } from './read-units.ts';
import { along, type NameUse, type Reach, RUN_APART, STRAIGHT, type Unit, worse } from './unit.ts';

export interface FoundCall extends Reach {
  readonly callee: string;
  readonly operation: string;
  /** `modules/orders/orders.ts:122` */
  readonly at: string;
}

/** A way into a module: a route, an operation, the handler of an event, a saga, or what it does by itself. */
export interface Entry {
  readonly kind: 'route' | 'operation' | 'handler' | 'saga' | 'own work';
  /** `POST /api/v1/orders`, `getOrder`, the event's type, `saga`, or the function's name. */
  readonly name: string;
  readonly calls: readonly FoundCall[];
  /** Types of events that it may publish. */
  readonly publishes: readonly string[];
  /** It leaves work to a saga of the module, which goes on after the answer. */
  readonly setsSagaGoing: boolean;
}

export interface ModuleCode {
  readonly module: string;
  readonly entries: readonly Entry[];
  /** Types of all events that it publishes anywhere. */
  readonly publishes: readonly string[];
}

interface Surroundings {
  readonly contract: Contract;
  /** Contracts that the module says it calls. */
  readonly dependencies: readonly Contract[];
  readonly contracts: readonly Contract[];
  /** What its routes begin with where they stand outside the base path. */
  readonly paths: readonly string[];
}

const BASE_PATH = '/api/v1';

/** Parses the modules' sources, tests left out. */
export function readCode(tree: Tree, modules: readonly Surroundings[]): ModuleCode[] {
  const sources = new Map([...tree].filter(([path]) => path.endsWith('.ts') && moduleOf(path) !== undefined && !isTest(path)));
  const of = <T>(found: ReadonlyMap<string, readonly T[]>, module: string): T[] => [...found].flatMap(([path, each]) => (moduleOf(path) === module ? each : []));
  const voices = parseAll(sources, voicesIn);
  const names = [...new Set([...sources.keys()].map((path) => moduleOf(path)!))];
  const voicesOf = (module: string, loud: boolean) => new Set(of(voices, module).flatMap(({ name, isLoud }) => (isLoud === loud ? [name] : [])));
  const unguarded = new Map(names.map((name): [string, Manners] => [name, { quiet: voicesOf(name, false), loud: voicesOf(name, true), guards: new Set() }]));
  const guards = parseAll(sources, (source, path) => guardsIn(source, unguarded.get(moduleOf(path)!)!));
  const manners = new Map(names.map((name): [string, Manners] => [name, { ...unguarded.get(name)!, guards: new Set(of(guards, name)) }]));
  const units = parseAll(sources, (source, path) => unitsOf(source, path, manners.get(moduleOf(path)!)!));
  return modules.map((surroundings) => {
    const { name } = surroundings.contract;
    const code = new Code(surroundings, of(units, name));
    return { module: name, entries: code.entries(), publishes: code.publishes() };
  });
}

class Code {
  readonly #about: Surroundings;
  readonly #units: readonly Unit[];
  readonly #byName: ReadonlyMap<string, Unit[]>;
  readonly #hasSaga: boolean;

  constructor(about: Surroundings, units: readonly Unit[]) {
    this.#about = about;
    this.#units = units;
    this.#byName = Map.groupBy(units, ({ name }) => name);
    this.#hasSaga = units.some(({ makesSaga }) => makesSaga);
  }

  entries(): Entry[] {
    const routes = this.#units.filter(({ kind }) => kind === 'route').map((unit) => this.#entry('route', this.#routeName(unit), [unit]));
    const operations = Object.keys(this.#about.contract.operations).map((name) => this.#entry('operation', name, this.#operation(name)));
    const handlers = this.#units.filter(({ kind }) => kind === 'handler').map((unit) => this.#entry('handler', this.#eventType(unit.name.replace('.events.', '.')), [unit]));
    const sagas = this.#hasSaga ? [this.#entry('saga', 'saga', this.#units.filter(({ makesSaga }) => makesSaga))] : [];
    const tasks = this.#units.filter(({ kind }) => kind === 'task').map((unit) => this.#entry('own work', unit.name, [unit])).filter(({ calls }) => calls.length > 0);
    const known = [...routes, ...operations, ...handlers, ...sagas, ...tasks];
    return [...known, ...this.#rest(known)];
  }

  publishes(): string[] {
    return this.#eventTypes(this.#units);
  }

  /** Calls that none of the other ways leads to. */
  #rest(known: readonly Entry[]): Entry[] {
    const seen = new Set(known.flatMap(({ calls }) => calls.map(({ at }) => at)));
    const left = this.#units.filter((unit) => this.#contractCalls(unit).some(({ at }) => !seen.has(at)));
    return left.map((unit) => this.#entry('own work', unit.name, [unit]));
  }

  #operation(name: string): Unit[] {
    const named = (this.#byName.get(name) ?? []).filter(({ kind }) => !RUN_APART.has(kind));
    const offered = named.filter(({ kind }) => kind === 'operation');
    return offered.length > 0 ? offered : named;
  }

  #routeName({ name }: Unit): string {
    const [method, url] = name.split(' ') as [string, string];
    return `${method} ${this.#isAtTheRoot(url) ? '' : BASE_PATH}${url}`;
  }

  /** Standards put some at fixed places; the module names those among its paths. */
  #isAtTheRoot(url: string): boolean {
    return url.startsWith('/.') && this.#about.paths.some((path) => url.startsWith(path));
  }

  #entry(kind: Entry['kind'], name: string, roots: readonly Unit[]): Entry {
    const reached = this.#reachedFrom(roots);
    const units = [...reached.keys()];
    return {
      kind,
      name,
      calls: joined([...reached].flatMap(([unit, reach]) => this.#contractCalls(unit).map((call) => ({ ...call, ...along(reach, call) })))),
      publishes: this.#eventTypes(units),
      setsSagaGoing: this.#hasSaga && kind !== 'saga' && units.some(({ setsSagaGoing }) => setsSagaGoing),
    };
  }

  /** Units that run where the roots do, and the worst way to each. */
  #reachedFrom(roots: readonly Unit[]): Map<Unit, Reach> {
    const reached = new Map<Unit, Reach>(roots.map((unit) => [unit, STRAIGHT]));
    const queue = [...roots];
    for (let unit = queue.shift(); unit; unit = queue.shift()) {
      for (const [next, reach] of this.#nextTo(unit, reached.get(unit)!)) {
        const known = reached.get(next);
        const now = known ? worse(known, reach) : reach;
        if (known && known.caught === now.caught && known.sometimes === now.sometimes) continue;
        reached.set(next, now);
        queue.push(next);
      }
    }
    return reached;
  }

  #nextTo(unit: Unit, reach: Reach): (readonly [Unit, Reach])[] {
    const used = unit.uses.flatMap((use) => this.#meant(use).map((next) => [next, along(reach, use)] as const));
    return [...used, ...unit.inner.map((inner) => [inner.unit, along(reach, inner)] as const)];
  }

  #meant({ name, isMember }: NameUse): Unit[] {
    return (this.#byName.get(name) ?? []).filter(({ kind }) => kind === 'function' || (isMember && (kind === 'member' || kind === 'operation')));
  }

  #contractCalls(unit: Unit): FoundCall[] {
    return unit.calls.flatMap(({ receiver, name, line, caught, sometimes }) => this.#callees(receiver, name).map((callee) => ({ callee, operation: name, at: `${unit.file}:${line}`, caught, sometimes })));
  }

  /** Those that offer such an operation; the one that is called like the receiver, where several do. */
  #callees(receiver: string, operation: string): string[] {
    const names = this.#about.dependencies.filter(({ operations }) => Object.hasOwn(operations, operation)).map(({ name }) => name);
    return names.includes(receiver) ? [receiver] : names;
  }

  #eventTypes(units: readonly Unit[]): string[] {
    return [...new Set(units.flatMap(({ publishes }) => publishes).map((event) => this.#eventType(event)))].toSorted();
  }

  /** @param event as `orders.orderPlaced` */
  #eventType(event: string): string {
    const [module, key] = event.split('.') as [string, string];
    return this.#about.contracts.find(({ name }) => name === module)?.events[key]?.type ?? event;
  }
}

/** One entry per place; of several ways there the worst counts. */
function joined(calls: readonly FoundCall[]): FoundCall[] {
  const byPlace = Map.groupBy(calls, ({ callee, operation, at }) => `${callee}.${operation} ${at}`);
  return [...byPlace.values()].map((same) => same.reduce((one, other) => ({ ...one, ...worse(one, other) })));
}

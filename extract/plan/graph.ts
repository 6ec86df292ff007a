/** Follows calls from module to module. */
import type { Entry } from './code/module-code.ts';
import { along, type Reach, STRAIGHT } from './code/unit.ts';
import { entriesOf, type Shop } from './shop.ts';

/** One call on the way of a piece of work, wherever on that way it stands. */
export interface Step extends Reach {
  readonly caller: string;
  readonly callee: string;
  readonly operation: string;
  readonly at: string;
}

/** An entry with the module that it leads into. */
export interface Place {
  readonly module: string;
  readonly entry: Entry;
}

/** All routes of all modules. */
export function routesOf(shop: Shop): Place[] {
  return shop.modules.flatMap(({ contract: { name } }) => entriesOf(shop, name).filter(({ kind }) => kind === 'route').map((entry) => ({ module: name, entry })));
}

/** Calls that are made while it is answered, those that its callees make as well. */
export function stepsOf(shop: Shop, { module, entry }: Place, reach: Reach = STRAIGHT, path: readonly Entry[] = []): Step[] {
  if (path.includes(entry)) return [];
  return entry.calls.flatMap((call) => {
    const here = along(reach, call);
    const step = { caller: module, callee: call.callee, operation: call.operation, at: call.at, ...here };
    const next = entriesOf(shop, call.callee).find(({ kind, name }) => kind === 'operation' && name === call.operation);
    return [step, ...(next ? stepsOf(shop, { module: call.callee, entry: next }, here, [...path, entry]) : [])];
  });
}

/** The sagas to which it leaves work, and those to which its callees do. */
export function sagasAfter(shop: Shop, place: Place): Place[] {
  const setters = [place, ...calledBy(shop, place)].filter(({ entry }) => entry.setsSagaGoing);
  return [...new Set(setters.map(({ module }) => module))].flatMap((module) => entriesOf(shop, module).filter(({ kind }) => kind === 'saga').map((entry) => ({ module, entry })));
}

/** Types of the events that it publishes, and those that its callees do. */
export function eventsAfter(shop: Shop, place: Place): string[] {
  return [...new Set([place, ...calledBy(shop, place)].flatMap(({ entry }) => entry.publishes))];
}

/** Operations that run while it does. */
function calledBy(shop: Shop, place: Place): Place[] {
  return stepsOf(shop, place).flatMap(({ callee, operation }) => entriesOf(shop, callee).filter(({ kind, name }) => kind === 'operation' && name === operation).map((entry) => ({ module: callee, entry })));
}

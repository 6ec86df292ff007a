/** What a group of modules takes down with it: for each public route, as far as the sources tell. */
import type { Entry } from './code/module-code.ts';
import type { Reach } from './code/unit.ts';
import { eventsAfter, type Place, routesOf, sagasAfter, type Step, stepsOf } from './graph.ts';
import { entriesOf, type Shop, subscribersOf } from './shop.ts';

/**
 * works: nothing that it does needs the group. queued: it is answered; what it sets going waits for the group. degraded: it is
 * answered without what the group would have said. 503: it is refused, `sometimes` only where it has to ask the group.
 */
export type Verdict = 'works' | 'queued' | 'degraded' | '503';

export interface RouteOutage {
  readonly module: string;
  readonly route: string;
  readonly verdict: Verdict;
  /** With 503 and degraded: only under a condition in the code. */
  readonly sometimes: boolean;
  readonly because: readonly string[];
}

export interface Outage {
  readonly routes: readonly RouteOutage[];
  /** What other modules do by themselves, and cannot go on with: it is tried again until the group is back. */
  readonly background: readonly string[];
}

export function outageOf(shop: Shop, group: ReadonlySet<string>): Outage {
  const others = shop.modules.map(({ contract }) => contract.name).filter((name) => !group.has(name));
  const background = others.flatMap((module) => entriesOf(shop, module).filter(({ kind }) => kind !== 'route' && kind !== 'operation').flatMap((entry) => waiting({ module, entry }, shop, group)));
  return { routes: routesOf(shop).map((place) => routeOutage(shop, place, group)), background };
}

function waiting(place: Place, shop: Shop, group: ReadonlySet<string>): string[] {
  const asked = failing(stepsOf(shop, place), group).map(called);
  return asked.length > 0 ? [`${place.module}: ${what(place)} waits for ${unique(asked).join(', ')}`] : [];
}

function what({ entry: { kind, name } }: Place): string {
  if (kind === 'handler') return `its handling of ${name}`;
  return kind === 'saga' ? 'its saga' : `${name} (work of its own)`;
}

function routeOutage(shop: Shop, place: Place, group: ReadonlySet<string>): RouteOutage {
  const { module, entry } = place;
  const base = { module, route: entry.name };
  if (group.has(module)) return { ...base, verdict: '503', sometimes: false, because: [`${module} answers it`] };
  const steps = stepsOf(shop, place).filter(({ callee }) => group.has(callee));
  const fatal = failing(steps, group);
  if (fatal.length > 0) return { ...base, verdict: '503', sometimes: fatal.every(({ sometimes }) => sometimes), because: unique(fatal.map((step) => `${step.caller} asks ${called(step)}`)) };
  if (steps.length > 0) return { ...base, verdict: 'degraded', sometimes: steps.every(({ sometimes }) => sometimes), because: unique(steps.map((step) => `${step.caller} does without ${called(step)}`)) };
  const later = unique(waitingAfter(shop, place, group, new Set()));
  return { ...base, verdict: later.length > 0 ? 'queued' : 'works', sometimes: false, because: later };
}

function waitingSaga(shop: Shop, saga: Place, group: ReadonlySet<string>): string[] {
  return failing(stepsOf(shop, saga), group).map((step) => `the saga of ${saga.module} waits for ${called(step)}`);
}

/** What it sets going: sagas, and events with all that those who handle them set going in turn. */
function waitingAfter(shop: Shop, place: Place, group: ReadonlySet<string>, seen: Set<Entry>): string[] {
  if (seen.has(place.entry)) return [];
  seen.add(place.entry);
  const sagas = sagasAfter(shop, place).filter(({ entry }) => !seen.has(entry));
  return [
    ...sagas.flatMap((saga) => [...waitingSaga(shop, saga, group), ...waitingAfter(shop, saga, group, seen)]),
    ...eventsAfter(shop, place).flatMap((type) => waitingFor(shop, type, group, seen)),
  ];
}

function waitingFor(shop: Shop, type: string, group: ReadonlySet<string>, seen: Set<Entry>): string[] {
  return unique(subscribersOf(shop, type).map(({ module }) => module)).flatMap((module) => {
    if (group.has(module)) return [`${type} waits for ${module}`];
    const handlers = entriesOf(shop, module).filter(({ kind, name }) => kind === 'handler' && name === type);
    return handlers.flatMap((entry) => [...failing(stepsOf(shop, { module, entry }), group).map((step) => `${module} handles ${type} once ${called(step)} answers`), ...waitingAfter(shop, { module, entry }, group, seen)]);
  });
}

function failing<S extends Step>(steps: readonly S[], group: ReadonlySet<string>): S[] {
  return steps.filter(({ callee, caught }: Step & Reach) => group.has(callee) && !caught);
}

function called({ callee, operation }: Step): string {
  return `${callee}.${operation}`;
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}

/** The calls that cross the border of a group once it has left: which, on whose behalf, and how often. */
import type { Entry } from './code/module-code.ts';
import type { Reach } from './code/unit.ts';
import { worse } from './code/unit.ts';
import { routesOf, sagasAfter, type Step, stepsOf } from './graph.ts';
import { contractOf, entriesOf, type Shop } from './shop.ts';
import type { Traffic } from './traffic.ts';

/** A request on whose behalf a call is made. */
export interface Occasion {
  readonly route: string;
  /** While the request waits for its answer, or by a saga afterwards. */
  readonly when: 'answer' | 'afterwards';
  /** Only under a condition. */
  readonly sometimes: boolean;
  /** A failure of it is caught. */
  readonly caught: boolean;
}

export interface MeasuredCall {
  readonly calls: number;
  /** Share of all calls between modules that were counted, from 0 to 1. */
  readonly share: number;
  /** Requests of the routes that lead to it; 0 where none was counted. */
  readonly requests: number;
  /** Calls per such request; null where no request was counted. Where `hasOtherWork`, calls of that are in it. */
  readonly perRequest: number | null;
}

export interface RemoteCall {
  readonly caller: string;
  readonly callee: string;
  readonly operation: string;
  readonly kind: 'query' | 'command';
  /** A query may be repeated like an idempotent command. */
  readonly repeatable: boolean;
  readonly deadlineMs: number;
  /** Where it stands in the sources; none where it was only counted. */
  readonly at: readonly string[];
  readonly occasions: readonly Occasion[];
  /** What else leads to it: handlers of events, tasks, the start, demo data. */
  readonly otherWork: readonly string[];
  readonly hasOtherWork: boolean;
  readonly measured: MeasuredCall | null;
}

/** Calls by which a caller reaches a callee, among those that the filter lets through. */
export function callsBetween(shop: Shop, crosses: (caller: string, callee: string) => boolean, traffic: Traffic | undefined): RemoteCall[] {
  const occasions = occasionsOf(shop);
  const found = new Map<string, { at: Set<string>; otherWork: Set<string> }>();
  const knownOf = (step: Pick<Step, 'caller' | 'callee' | 'operation'>) => getOr(found, keyOf(step), () => ({ at: new Set<string>(), otherWork: new Set<string>() }));
  const ofRoutes = new Set(routesOf(shop).flatMap((place) => sagasAfter(shop, place)).map(({ entry }) => entry));
  for (const { contract: { name: module } } of shop.modules) {
    for (const entry of entriesOf(shop, module)) {
      for (const { callee, operation, at } of entry.calls) knownOf({ caller: module, callee, operation }).at.add(at);
      const work = otherWork(entry, ofRoutes);
      if (work !== undefined) for (const step of stepsOf(shop, { module, entry })) knownOf(step).otherWork.add(step.caller === module ? work : `${module}: ${work}`);
    }
  }
  const keys = new Set([...found.keys(), ...countedKeys(shop, traffic)]);
  const all = [...keys].map((key) => remoteCall(shop, key, { at: [...(found.get(key)?.at ?? [])], otherWork: [...(found.get(key)?.otherWork ?? [])], occasions: occasions.get(key) ?? [] }, traffic));
  return all.filter(({ caller, callee }) => crosses(caller, callee)).toSorted((a, b) => keyOf(a).localeCompare(keyOf(b)));
}

/** What it is called where no request leads to it. */
function otherWork(entry: Entry, ofRoutes: ReadonlySet<Entry>): string | undefined {
  if (entry.kind === 'handler') return `handling of ${entry.name}`;
  if (entry.kind === 'saga' && !ofRoutes.has(entry)) return 'its saga';
  return entry.kind === 'own work' ? entry.name : undefined;
}

/** What was counted between modules, in case that the sources do not show it. */
function countedKeys(shop: Shop, traffic: Traffic | undefined): string[] {
  const known = new Set(shop.modules.map(({ contract }) => contract.name));
  return [...(traffic?.calls ?? [])].flatMap(([key, count]) => {
    const [caller, callee, operation] = key.split(/[ .]/) as [string, string, string];
    return count > 0 && known.has(caller) && known.has(callee) && operation in contractOf(shop, callee).operations ? [key] : [];
  });
}

type Ways = Pick<RemoteCall, 'at' | 'otherWork' | 'occasions'>;

function remoteCall(shop: Shop, key: string, ways: Ways, traffic: Traffic | undefined): RemoteCall {
  const [caller, callee, operation] = key.split(/[ .]/) as [string, string, string];
  const { kind, deadlineMs, ...rest } = contractOf(shop, callee).operations[operation]!;
  const repeatable = kind === 'query' || (rest as { idempotent?: boolean }).idempotent === true;
  return { caller, callee, operation, kind, repeatable, deadlineMs, ...ways, hasOtherWork: ways.otherWork.length > 0, measured: measured(key, ways.occasions, traffic) };
}

function measured(key: string, occasions: readonly Occasion[], traffic: Traffic | undefined): MeasuredCall | null {
  if (!traffic) return null;
  const calls = traffic.calls.get(key) ?? 0;
  const requests = sum([...new Set(occasions.map(({ route }) => route))].map((route) => traffic.requests.get(route) ?? 0));
  return { calls, share: ratio(calls, sum(traffic.calls.values())) ?? 0, requests, perRequest: ratio(calls, requests) };
}

/** By `caller callee.operation`: the requests that lead there, through other modules too. */
function occasionsOf(shop: Shop): Map<string, Occasion[]> {
  const found = new Map<string, Map<string, Occasion>>();
  for (const place of routesOf(shop)) {
    const route = place.entry.name;
    note(found, route, 'answer', stepsOf(shop, place));
    for (const saga of sagasAfter(shop, place)) note(found, route, 'afterwards', stepsOf(shop, saga));
  }
  return new Map([...found].map(([key, byRoute]) => [key, [...byRoute.values()]]));
}

function note(found: Map<string, Map<string, Occasion>>, route: string, when: Occasion['when'], steps: readonly Step[]): void {
  for (const step of steps) {
    const byRoute = getOr(found, keyOf(step), () => new Map<string, Occasion>());
    const known = byRoute.get(`${route} ${when}`);
    const { caught, sometimes }: Reach = known ? worse(known, step) : step;
    byRoute.set(`${route} ${when}`, { route, when, sometimes, caught });
  }
}

function keyOf({ caller, callee, operation }: Pick<Step, 'caller' | 'callee' | 'operation'>): string {
  return `${caller} ${callee}.${operation}`;
}

function getOr<V>(map: Map<string, V>, key: string, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

export function sum(numbers: Iterable<number>): number {
  return [...numbers].reduce((total, each) => total + each, 0);
}

export function ratio(part: number, whole: number): number | null {
  return whole > 0 ? part / whole : null;
}


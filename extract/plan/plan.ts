/** What it means that modules leave for a service of their own. `planFor` puts it together; docs/guides describe it for scripts. */
import { moduleOf } from '../../src/check/boundaries/layout.ts';
import { type Outage, outageOf } from './outage.ts';
import { callsBetween, ratio, type RemoteCall, sum } from './remote-calls.ts';
import { type Place, routesOf, sagasAfter, stepsOf } from './graph.ts';
import { contractOf, entriesOf, type Shop, subscribersOf } from './shop.ts';
import type { Measured } from './sizes.ts';
import type { Traffic } from './traffic.ts';

export interface PlannedRequest {
  readonly module: string;
  readonly route: string;
  /** Operations across the border that may be called before it is answered. */
  readonly waitsFor: readonly string[];
  /** Those that a saga may call on its behalf. */
  readonly afterwards: readonly string[];
  /** How many such requests were counted; null where no running shop was asked. */
  readonly counted: number | null;
}

export interface Offer {
  readonly module: string;
  readonly operation: string;
  readonly kind: 'query' | 'command';
  readonly summary: string;
  /** Modules outside the group that may call it. */
  readonly callers: readonly string[];
}

export interface EventFlow {
  readonly type: string;
  readonly publisher: string;
  /** As `<module>.<name>`; those on the other side of the border only. */
  readonly subscribers: readonly string[];
}

export interface PlannedTable {
  readonly schema: string;
  readonly name: string;
  /** Null where no database was asked. */
  readonly rows: number | null;
  readonly isEstimate: boolean;
  readonly bytes: number | null;
}

export interface ModuleTables {
  readonly module: string;
  /** Why sizes are missing; null where they are there. */
  readonly unmeasured: string | null;
  readonly tables: readonly PlannedTable[];
}

export interface PlannedTraffic {
  readonly source: string;
  readonly requests: number;
  readonly calls: number;
  /** Of them, those that cross the border. */
  readonly remoteCalls: number;
  /** From 0 to 1. */
  readonly share: number;
  /** Remote calls for each request of the whole shop, whatever asked for them. */
  readonly remotePerRequest: number | null;
}

/** The shape is kept: members are added, not changed, as long as `version` is 1. */
export interface Plan {
  readonly version: 1;
  readonly modules: readonly string[];
  /** Modules that it calls, outside the group. */
  readonly callsOut: readonly RemoteCall[];
  /** Calls of others that then come from outside. */
  readonly callsIn: readonly RemoteCall[];
  /** Calls between modules of the group: they stay in the process. */
  readonly callsInside: readonly RemoteCall[];
  /** Public routes that lead to calls which become remote. */
  readonly requests: readonly PlannedRequest[];
  readonly offers: readonly Offer[];
  readonly eventsOut: readonly EventFlow[];
  readonly eventsIn: readonly EventFlow[];
  readonly tables: readonly ModuleTables[];
  /** Null where no running shop was asked. */
  readonly traffic: PlannedTraffic | null;
  readonly outage: Outage;
  /** What has to be mended first. */
  readonly blockers: readonly string[];
  /** What gets harder, and is said once. */
  readonly cautions: readonly string[];
}

export interface PlanParts {
  readonly traffic?: Traffic | undefined;
  /** By module; a text says why there are none. */
  readonly sizes: ReadonlyMap<string, Measured | string>;
}

export function planFor(shop: Shop, modules: readonly string[], { traffic, sizes }: PlanParts): Plan {
  const group = new Set(modules);
  const between = (from: boolean, to: boolean) => callsBetween(shop, (caller, callee) => group.has(caller) === from && group.has(callee) === to, traffic);
  const [callsOut, callsIn] = [between(true, false), between(false, true)];
  return {
    version: 1,
    modules,
    callsOut,
    callsIn,
    callsInside: between(true, true).filter(({ caller, callee }) => caller !== callee),
    requests: requestsOf(shop, group, traffic),
    offers: modules.flatMap((module) => offersOf(shop, module, callsIn)),
    ...eventFlows(shop, group),
    tables: modules.map((module) => tablesOf(shop, module, sizes.get(module) ?? 'no database was asked')),
    traffic: traffic ? trafficOver(shop, traffic, [...callsOut, ...callsIn]) : null,
    outage: outageOf(shop, group),
    blockers: blockersOf(shop, modules, sizes),
    cautions: cautionsOf(shop, group, [...callsOut, ...callsIn]),
  };
}

function requestsOf(shop: Shop, group: ReadonlySet<string>, traffic: Traffic | undefined): PlannedRequest[] {
  const crossing = (places: readonly Place[]): string[] => {
    const steps = places.flatMap((place) => stepsOf(shop, place)).filter(({ caller, callee }) => group.has(caller) !== group.has(callee));
    return [...new Set(steps.map(({ callee, operation }) => `${callee}.${operation}`))].toSorted();
  };
  const all = routesOf(shop).map((place) => {
    const route = place.entry.name;
    return { module: place.module, route, waitsFor: crossing([place]), afterwards: crossing(sagasAfter(shop, place)), counted: traffic ? (traffic.requests.get(route) ?? 0) : null };
  });
  return all.filter(({ waitsFor, afterwards }) => waitsFor.length + afterwards.length > 0);
}

function offersOf(shop: Shop, module: string, callsIn: readonly RemoteCall[]): Offer[] {
  return Object.entries(contractOf(shop, module).operations).map(([operation, { kind, summary }]) => {
    const callers = callsIn.filter((call) => call.callee === module && call.operation === operation).map(({ caller }) => caller);
    return { module, operation, kind, summary, callers };
  });
}

function eventFlows(shop: Shop, group: ReadonlySet<string>): { eventsOut: EventFlow[]; eventsIn: EventFlow[] } {
  const flows = shop.modules.flatMap(({ contract }) =>
    Object.values(contract.events).map(({ type }) => ({ type, publisher: contract.name, subscribers: subscribersOf(shop, type) })),
  );
  const named = (flow: (typeof flows)[number], inGroup: boolean): EventFlow => ({ ...flow, subscribers: flow.subscribers.filter(({ module }) => group.has(module) === inGroup).map(({ module, name }) => `${module}.${name}`) });
  return {
    eventsOut: flows.filter(({ publisher }) => group.has(publisher)).map((flow) => named(flow, false)),
    eventsIn: flows.filter(({ publisher }) => !group.has(publisher)).map((flow) => named(flow, true)).filter(({ subscribers }) => subscribers.length > 0),
  };
}

function tablesOf(shop: Shop, module: string, measured: Measured | string): ModuleTables {
  if (typeof measured !== 'string') return { module, unmeasured: null, tables: measured.tables };
  const tables = (shop.tables.get(module) ?? []).map(({ name }) => ({ schema: module, name, rows: null, isEstimate: false, bytes: null }));
  return { module, unmeasured: measured, tables };
}

function trafficOver(shop: Shop, { source, requests, calls }: Traffic, crossing: readonly RemoteCall[]): PlannedTraffic {
  const remoteCalls = sum(crossing.map(({ measured }) => measured?.calls ?? 0));
  const known = new Set(routesOf(shop).map(({ entry }) => entry.name));
  const answered = sum([...requests].filter(([route]) => known.has(route)).map(([, count]) => count));
  const all = sum(calls.values());
  return { source, requests: answered, calls: all, remoteCalls, share: ratio(remoteCalls, all) ?? 0, remotePerRequest: ratio(remoteCalls, answered) };
}

function blockersOf(shop: Shop, modules: readonly string[], sizes: PlanParts['sizes']): string[] {
  const violations = shop.violations.filter(({ file, found }) => modules.some((module) => moduleOf(file) === module || new RegExp(`\\b${module}\\b`).test(found)));
  return [...violations.map(({ rule, file, line, found }) => `${file}:${line}  ${found} (${rule})`), ...modules.flatMap((module) => tableBlockers(shop, module, sizes.get(module)))];
}

function tableBlockers(shop: Shop, module: string, measured: Measured | string | undefined): string[] {
  if (measured !== undefined && typeof measured !== 'string') {
    return [...measured.keyless.map(keyless), ...measured.sequences.map(numbered), ...measured.crossing.map((reference) => `${reference}: reaches into another schema`)];
  }
  const tables = shop.tables.get(module) ?? [];
  const full = (name: string) => `${module}.${name}`;
  return [...tables.filter((table) => !table.hasPrimaryKey).map(({ name }) => keyless(full(name))), ...tables.filter((table) => table.hasSequence).map(({ name }) => numbered(full(name)))];
}

function keyless(table: string): string {
  return `the table ${table} has no primary key: its rows cannot be followed while they move`;
}

function numbered(table: string): string {
  return `${table} takes keys from a sequence: two databases would give the same ones`;
}

/** Events whose ways the sources do not show, as where a contract goes by another name there. */
function unseen(shop: Shop): string[] {
  return shop.modules.flatMap(({ contract: { name, events }, subscribes = {} }) => {
    const entries = entriesOf(shop, name);
    const handled = Object.values(subscribes).flat().filter(({ type }) => !entries.some((entry) => entry.kind === 'handler' && entry.name === type));
    const published = Object.values(events).filter(({ type }) => !shop.code.get(name)!.publishes.includes(type));
    return [
      ...handled.map(({ type }) => `${name} handles ${type}, but its sources do not show where: what that calls is not in this plan`),
      ...published.map(({ type }) => `${name} publishes ${type}, but its sources do not show where: what waits for it is not in this plan`),
    ];
  });
}

function cautionsOf(shop: Shop, group: ReadonlySet<string>, calls: readonly RemoteCall[]): string[] {
  const unsafe = calls.filter(({ repeatable }) => !repeatable).map(({ caller, callee, operation }) => `${callee}.${operation} is not idempotent: where the connection breaks, ${caller} gets OUTCOME_UNKNOWN and it is not repeated`);
  const unexplained = shop.modules.flatMap(({ contract, dependencies }) =>
    Object.values(dependencies)
      .filter(({ name }) => group.has(name) !== group.has(contract.name) && !calls.some(({ caller, callee }) => caller === contract.name && callee === name))
      .map(({ name }) => `${contract.name} depends on ${name}, but no call of it was found in its sources: it may use its schemas alone`),
  );
  const issuer = [...group].find((module) => 'getTokenKeys' in contractOf(shop, module).operations);
  const tokens = issuer === undefined ? [] : [`${issuer} signs tokens: every other process asks it for its keys, and every second for those that were withdrawn; without it, keys that are known stay in use, and a process that has just started refuses tokens with 503`];
  return [...new Set([...unsafe, ...unexplained, ...unseen(shop), ...tokens])];
}

/** A plan as a person reads it. */
import { table } from '../up/output.ts';
import type { RouteOutage, Verdict } from './outage.ts';
import type { EventFlow, ModuleTables, Plan, PlannedTable } from './plan.ts';
import type { Occasion, RemoteCall } from './remote-calls.ts';

export function report(plan: Plan): string {
  const title = `What it means that ${listed(plan.modules)} ${plan.modules.length > 1 ? 'leave together' : 'leaves'}`;
  return [title, blockers(plan), calls(plan), requests(plan), offers(plan), events(plan), tables(plan), traffic(plan), outage(plan), cautions(plan)].filter((part) => part !== '').join('\n\n').concat('\n');
}

function blockers({ blockers: found, tables: all }: Plan): string {
  // Only a database tells of references from one schema to another.
  if (found.length === 0) return all.every(({ unmeasured }) => unmeasured === null) ? 'Blockers: none.' : 'Blockers: none in the sources.';
  return section(`Blockers, to be mended first: ${found.length}`, found.map((line) => `  ${line}\n`).join(''));
}

function calls({ callsOut, callsIn, callsInside, modules }: Plan): string {
  const inside = modules.length > 1 ? section('Calls that stay in the process, within the group', callTable(callsInside)) : '';
  return [section('Calls that become remote, from here to others', callTable(callsOut)), section('Calls that become remote, from others to here', callTable(callsIn)), inside].filter((part) => part !== '').join('\n\n');
}

function callTable(found: readonly RemoteCall[]): string {
  const rows = found.flatMap((call) => {
    const reasons = [...call.occasions.map(occasion), ...call.otherWork];
    const [first = call.at.length > 0 ? '-' : 'counted, but not found in the sources', ...others] = reasons;
    return [[call.caller, `${call.callee}.${call.operation}`, kindOf(call), ...counted(call), first], ...others.map((other) => ['', '', '', '', '', other])];
  });
  return rows.length > 0 ? table(['caller', 'operation', 'kind', 'counted', 'per request', 'for'], rows) : none;
}

function kindOf({ kind, repeatable }: RemoteCall): string {
  return repeatable ? kind : `${kind}, once`;
}

function counted({ measured, hasOtherWork }: RemoteCall): [string, string] {
  if (!measured) return ['-', '-'];
  const { calls: count, share, perRequest } = measured;
  const each = perRequest === null ? '-' : `${hasOtherWork ? 'at most ' : ''}${perRequest.toFixed(2)}`;
  return [`${count} (${percent(share)})`, each];
}

function occasion({ route, when, sometimes, caught }: Occasion): string {
  const notes = [when === 'afterwards' ? 'afterwards' : '', sometimes ? 'sometimes' : '', caught ? 'can do without' : ''].filter((note) => note !== '');
  return notes.length > 0 ? `${route} (${notes.join(', ')})` : route;
}

function requests({ requests: found }: Plan): string {
  const rows = found.map(({ route, waitsFor, afterwards, counted: count }) => [route, waitsFor.join(', ') || '-', afterwards.join(', ') || '-', count === null ? '-' : String(count)]);
  return section('The same by request', rows.length > 0 ? table(['request', 'remote before its answer', 'remote afterwards', 'counted'], rows) : none);
}

function offers({ offers: found }: Plan): string {
  const rows = found.map(({ module, operation, kind, callers }) => [`${module}.${operation}`, kind, callers.length > 0 ? listed([...new Set(callers)]) : 'nobody outside']);
  return section('Operations that are offered, and who may call them', rows.length > 0 ? table(['operation', 'kind', 'called by'], rows) : none);
}

function events({ eventsOut, eventsIn }: Plan): string {
  const rows = (flows: readonly EventFlow[]) => flows.map(({ type, publisher, subscribers }) => [type, publisher, subscribers.length > 0 ? subscribers.join(', ') : 'nobody outside']);
  const part = (heading: string, flows: readonly EventFlow[]) => section(heading, flows.length > 0 ? table(['event', 'published by', 'handled by'], rows(flows)) : none);
  return `${part('Events that go out', eventsOut)}\n\n${part('Events that come in', eventsIn)}`;
}

function tables({ tables: found }: Plan): string {
  return found.map(moduleTables).join('\n\n');
}

function moduleTables({ module, unmeasured, tables: all }: ModuleTables): string {
  const heading = `Tables of ${module}${unmeasured === null ? '' : ` (no sizes: ${unmeasured})`}`;
  if (all.length === 0) return section(heading, none);
  const own = all.filter(({ schema }) => schema === module);
  const rows = [...own.map(({ name, ...size }) => [name, rowCount(size), bytes(size.bytes)]), ...outboxRow(module, all)];
  return section(heading, table(['table', 'rows', 'size'], rows));
}

/** Its tables are the kernel's affair: they leave together. */
function outboxRow(module: string, all: readonly PlannedTable[]): string[][] {
  const outbox = all.filter(({ schema }) => schema !== module);
  if (outbox.length === 0) return [];
  return [[`outbox, inbox, sagas (${module}_outbox, ${outbox.length} tables)`, rowCount({ rows: total(outbox.map(({ rows }) => rows)), isEstimate: outbox.some(({ rows, isEstimate }) => isEstimate || rows === null) }), bytes(total(outbox.map((each) => each.bytes)))]];
}

function rowCount({ rows, isEstimate }: Pick<PlannedTable, 'rows' | 'isEstimate'>): string {
  return rows === null ? '-' : `${isEstimate ? 'about ' : ''}${rows}`;
}

function total(numbers: readonly (number | null)[]): number {
  return numbers.reduce<number>((sum, each) => sum + (each ?? 0), 0);
}

function bytes(count: number | null): string {
  if (count === null) return '-';
  return count < 1_048_576 ? `${Math.ceil(count / 1_024)} KiB` : `${(count / 1_048_576).toFixed(1)} MiB`;
}

function traffic({ traffic: counts }: Plan): string {
  if (!counts) return 'Traffic: none was counted. Name the /metrics of a running shop, or of all its services, with --metrics.';
  const { source, requests, calls: all, remoteCalls, share, remotePerRequest } = counts;
  return `Traffic: ${source} counted ${requests} requests and ${all} calls between modules; ${remoteCalls} of those (${percent(share)}) would be remote, ${(remotePerRequest ?? 0).toFixed(2)} for each request.`;
}

const VERDICTS: readonly Verdict[] = ['503', 'degraded', 'queued', 'works'];

function outage({ outage: { routes, background }, modules }: Plan): string {
  const sorted = VERDICTS.flatMap((verdict) => routes.filter((route) => route.verdict === verdict));
  const rows = sorted.flatMap((route) => {
    const [first = '', ...others] = route.because;
    return [[verdictOf(route), route.route, first], ...others.map((other) => ['', '', other])];
  });
  const waits = background.length > 0 ? `\n\n${section('Beside requests', background.map((line) => `  ${line}\n`).join(''))}` : '';
  return section(`While ${listed(modules)} ${modules.length > 1 ? 'are' : 'is'} down (read off the sources; that events and steps of sagas wait is a rule of the kernel)`, table(['answer', 'route', 'because'], rows)) + waits;
}

function verdictOf({ verdict, sometimes }: RouteOutage): string {
  return sometimes ? `${verdict} at times` : verdict;
}

function cautions({ cautions: found }: Plan): string {
  return found.length > 0 ? section('To bear in mind', found.map((line) => `  ${line}\n`).join('')) : '';
}

const none = '  none\n';

function section(heading: string, body: string): string {
  return `${heading}\n${body}`.trimEnd();
}

function listed(names: readonly string[]): string {
  return names.length > 1 ? `${names.slice(0, -1).join(', ')} and ${names.at(-1)}` : names[0]!;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** What is demanded of each figure, and what else is told of it. Pure: what has been measured comes in, lines of the report go out. */
import type { Comparison, Rounds } from './compare.ts';
import type { Spread } from './figures.ts';
import type { EventFlow } from './flow/event-flow.ts';
import { type FullHouse, ORDERS, PRODUCTS, USERS } from './full-house.ts';
import type { Idle } from './idle-memory.ts';
import type { Latency } from './idle-latency.ts';
import type { Times } from './open-loop.ts';
import type { OutboxCost } from './outbox-cost.ts';
import { NORMAL_AFTER_MS, type Overload, TIMES } from './overload.ts';
import { QUESTIONS } from './questions.ts';
import type { RemoteCalls } from './remote-call.ts';
import { atLeast, atMost, type Finding, told } from './report.ts';
import { SIGNING_IN } from './sign-ins.ts';
import type { Checkout, Storm } from './storm.ts';
import type { TracingCost } from './tracing-cost.ts';

const MOST_CALL_US = 2;
const MOST_REMOTE_RATIO = 1.5;
const MOST_LATENCY_MS = 10;
const MOST_LATENCY_APART_MS = 15;
const MOST_GATEWAY_RATIO = 1.3;
const MOST_EVENT_MS = { p50: 5, p99: 25 };
const MOST_DRAIN_SECONDS = 15;
const MOST_RESIDENT_MIB = 220;
const MOST_STORM_RATIO = 1.5;
const LEAST_GOODPUT = 0.9;
const MOST_REFUSAL_MS = 50;
/** A p99 of a few hundred orders differs by so much from one round to the next when nothing has happened between them. */
const MOST_NORMAL_RATIO = 1.5;
/** What waits for a second is no backlog: a shop that has room handles events within milliseconds. */
const MOST_WAIT_MS = 1_000;
const LEAST_WITH_OUTBOX = 0.8;
const MOST_SIZE_RATIO = 1.5;
/** A disk or a machine that stands still for a moment; a shop that turns away more is not asked at a rate that it can answer. */
const MOST_TURNED_AWAY_PERCENT = 1;
/** A tenth of what the rounds of a benchmark on a machine of its own differ by: less than that nobody can measure. */
const MOST_TRACING_OFF_PERCENT = 0.5;

export function ofCalls(addedUs: Readonly<Record<string, number>>): Finding[] {
  return Object.entries(addedUs).map(([operation, us]) => atMost(`a call of ${operation} in process adds`, us, 'µs', MOST_CALL_US));
}

export function ofRemoteCalls(figures: RemoteCalls): Finding[] {
  return Object.entries(figures).flatMap(([atATime, { bareUs, remoteUs, bareCpuUs, remoteCpuUs, ratio }]) => [
    { ...atMost(`a call to another process, ${atATime} at a time, µs`, ratio, '×', MOST_REMOTE_RATIO), shop: remoteUs.toFixed(0), yardstick: bareUs.toFixed(0) },
    { ...told(`a call to another process, ${atATime} at a time, CPU µs of the caller`, `${(remoteCpuUs / bareCpuUs).toFixed(2)} ×`), shop: remoteCpuUs.toFixed(0), yardstick: bareCpuUs.toFixed(0) },
  ]);
}

export function ofEvents({ atRate, drainSeconds }: EventFlow): Finding[] {
  return [
    atMost('commit to handled at 200 events/s, p50', atRate.p50, 'ms', MOST_EVENT_MS.p50),
    atMost('commit to handled at 200 events/s, p99', atRate.p99, 'ms', MOST_EVENT_MS.p99),
    atMost('100,000 waiting events are handled within', drainSeconds, 's', MOST_DRAIN_SECONDS),
  ];
}

export function ofLatency({ orders, p50, p99, max }: Latency): Finding[] {
  return [
    atMost(`event to handled, idle, median of ${orders}`, p50, 'ms', MOST_LATENCY_MS),
    told('event to handled, idle, p99 / max', `${p99.toFixed(2)} / ${max.toFixed(2)} ms`),
  ];
}

export function ofLatencyApart({ orders, p50, p99, max }: Latency): Finding[] {
  return [
    atMost(`event to handled in another process, idle, median of ${orders}`, p50, 'ms', MOST_LATENCY_APART_MS),
    told('event to handled in another process, idle, p99 / max', `${p99.toFixed(2)} / ${max.toFixed(2)} ms`),
  ];
}

export function ofGateway({ shop: gateway, yardstick: proxy }: Comparison): Finding[] {
  const times = ({ p50, p99 }: Rounds): string => `${p50.toFixed()} / ${p99.toFixed()}`;
  return [
    { ...atMost('a request through the gateway, CPU µs beside a bare proxy', gateway.cpuUs.median / proxy.cpuUs.median, '×', MOST_GATEWAY_RATIO), shop: gateway.cpuUs.median.toFixed(), yardstick: proxy.cpuUs.median.toFixed() },
    { ...told('a request through the gateway, answers/s', `${(gateway.perSecond.median / proxy.perSecond.median).toFixed(2)} ×`), shop: gateway.perSecond.median.toFixed(), yardstick: proxy.perSecond.median.toFixed() },
    { ...told('a request through the gateway, ms p50 / p99', ''), shop: times(gateway), yardstick: times(proxy) },
  ];
}

export function ofStorm({ ordersPerSecond, steady, full, checksPerSecond, refusedPerSecond }: Storm): Finding[] {
  return [
    ...([[`${ordersPerSecond} orders/s, a fifth of what it takes`, steady], ['as many orders as it takes', full]] as const).flatMap(([what, { alone, during, ratio }]) => [
      told(`${what}, ms p50 / p99`, both(alone)),
      told(`  while ${SIGNING_IN} sign in, ms p50 / p99`, both(during)),
      atMost('  p99 beside that without sign-ins, median of the rounds', ratio.median, 'x', MOST_STORM_RATIO),
      differing(ratio),
      ...generators(alone, during),
      ...(alone.perSecond === during.perSecond ? [] : [told('  answers/s without / with sign-ins', `${alone.perSecond.toFixed()} / ${during.perSecond.toFixed()}`)]),
    ]),
    told('passwords checked / sign-ins refused meanwhile', `${checksPerSecond.toFixed()}/s / ${refusedPerSecond.toFixed()}/s`),
  ];
}

function generators({ generator: without }: Checkout, { generator: amid }: Checkout): Finding[] {
  if (!without || !amid) return [];
  return [
    told('  from when they were sent, ms p99, without / with sign-ins', `${without.sent.toFixed(1)} / ${amid.sent.toFixed(1)}`),
    told('  the load generator was late by, ms p99, without / with sign-ins', `${without.late.toFixed(1)} / ${amid.late.toFixed(1)}`),
  ];
}

export function ofOverload({ peak, kept, taken, refused, late, before, after, wrongAfter, waitsAfter }: Overload): Finding[] {
  return [
    told('as many orders as the shop takes, answers/s', peak.toFixed()),
    atLeast(`  taken when ${TIMES} times as many are sent, beside that, median of the rounds`, kept.median, 'x', LEAST_GOODPUT),
    differing(kept),
    told('  those taken, ms p50 / p99', both(taken)),
    atMost('  the others are refused within, p99', refused.p99, 'ms', MOST_REFUSAL_MS),
    atMost('  the others are refused within, p99.9', refused.p999, 'ms', MOST_REFUSAL_MS),
    told('  the others are refused within, the last of all rounds', `${refused.max.toFixed(1)} ms`),
    told('  so late was the load generator, ms p50 / p99', both(late)),
    told('  at half the peak, before it, ms p50 / p99', both(before)),
    told(`  ${NORMAL_AFTER_MS / 1_000} s after it, ms p50 / p99`, both(after)),
    atMost(`  ${NORMAL_AFTER_MS / 1_000} s after it, p99 beside that before it`, after.p99 / before.p99, 'x', MOST_NORMAL_RATIO),
    atMost(`  ${NORMAL_AFTER_MS / 1_000} s after it, orders not taken`, wrongAfter, 'in all', 0),
    atMost(`  ${NORMAL_AFTER_MS / 1_000} s after it, so long has the oldest work waited, of all rounds`, waitsAfter, 'ms', MOST_WAIT_MS),
  ];
}

export function ofOutbox({ published, unpublished, ratio }: OutboxCost): Finding[] {
  return [
    told('POST /orders without handling, answers/s, without / with its event', `${unpublished.toFixed()} / ${published.toFixed()}`),
    atLeast('  with its event beside that, median of the rounds', ratio.median, 'x', LEAST_WITH_OUTBOX),
    differing(ratio),
  ];
}

export function ofSize(found: FullHouse): Finding[] {
  const crowd = `${PRODUCTS / 1e6} M products, ${USERS / 1e3} k users, ${ORDERS / 1e6} M orders`;
  return QUESTIONS.flatMap((question) => {
    const { few, many } = found[question];
    return [
      told(`${question}, ms p50 / p99, with the demo data`, `${few.p50.toFixed(2)} / ${few.p99.toFixed(1)}`),
      told(`  with ${crowd}`, `${many.p50.toFixed(2)} / ${many.p99.toFixed(1)}`),
      atMost('  p50 beside that with the demo data', many.p50 / few.p50, 'x', MOST_SIZE_RATIO),
      ...(few.turnedAway + many.turnedAway > 0 ? [atMost('  turned away of those with the demo data', 100 * few.turnedAway, '%', MOST_TURNED_AWAY_PERCENT), atMost('  turned away of those with all that', 100 * many.turnedAway, '%', MOST_TURNED_AWAY_PERCENT)] : []),
      told('  CPU µs each, the shop alone, with the demo data / with all that', `${few.cpuUs.toFixed()} / ${many.cpuUs.toFixed()}`),
    ];
  });
}

export function ofTracing({ nsPerPlace, requests }: TracingCost): Finding[] {
  return [
    told('a place where a span could begin or end, tracing off', `${nsPerPlace.toFixed(1)} ns`),
    ...requests.flatMap(({ title, places, off, on }) => [
      told(`${title}, such places passed`, places.toFixed()),
      atMost('  what they take with tracing off, of the CPU time', (places * nsPerPlace) / (10 * off.cpuUs.median), '%', MOST_TRACING_OFF_PERCENT),
      told('  CPU µs each, tracing off / on', `${off.cpuUs.median.toFixed()} / ${on.cpuUs.median.toFixed()}`),
      told('  answers/s, tracing off / on', `${off.perSecond.median.toFixed()} / ${on.perSecond.median.toFixed()}`),
    ]),
  ];
}

/** Only the fresh shop is held to a floor: how much a process keeps after load is the allocator's affair. */
export function ofMemory(idle: Idle, when: 'fresh' | 'after all that'): Finding[] {
  const what = `the idle shop, ${when}`;
  return [
    when === 'fresh' ? atMost(`${what}, resident`, idle.residentMiB, 'MiB', MOST_RESIDENT_MIB) : told(`${what}, resident`, `${idle.residentMiB.toFixed(1)} MiB`),
    told(`${what}, CPU`, `${idle.cpuPercent.toFixed(2)} % of a core`),
  ];
}

function differing({ min, max }: Spread): Finding {
  return told('  of the rounds, least - most', `${min.toFixed(2)} - ${max.toFixed(2)}`);
}

function both({ p50, p99 }: Pick<Times, 'p50' | 'p99'>): string {
  return `${p50.toFixed(1)} / ${p99.toFixed(1)}`;
}

/** What the kernel measures (invariant I9): rate, errors and duration at every boundary, queues, pools, the event loop. */
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { CountOf, Durations, type Series } from './durations.ts';

/** Receives how long a piece of work took and how it ended: `ok` or the error's code. Costs some 30 ns. */
export interface Recorder {
  observe(seconds: number, outcome: string): void;
}

export interface RouteLabels {
  readonly module: string;
  readonly method: string;
  /** The pattern, e.g. `/api/v1/orders/:id`, never the URL. */
  readonly route: string;
}

export interface RouteRecorder {
  observe(seconds: number, status: number): void;
}

export interface PoolState {
  readonly total: number;
  readonly idle: number;
  readonly waiting: number;
}

export interface Metrics {
  /** What `/metrics` shows; modules add metrics of their own named `<module>_…`. */
  readonly registry: Registry;
  /** Binds the recorder of a route. Keep it: binding is not for the hot path. */
  route(labels: RouteLabels): RouteRecorder;
  /** Binds the recorder of a contract operation as one caller uses it. */
  operation(module: string, operation: string, caller: string): Recorder;
  /** Binds the recorder of a subscriber's handler of an event type. */
  handler(subscriber: string, eventType: string): Recorder;
  /** Says how many events wait in a module's outbox and how old the oldest one is (0 when it is empty). */
  outbox(module: string, backlog: { readonly pending: number; readonly oldestSeconds: number }): void;
  /** Shows a connection pool; `read` is asked whenever `/metrics` is. */
  pool(name: string, read: () => PoolState): void;
  /** Shows how many requests are open and how many may be; `read` is asked whenever `/metrics` is. */
  openRequests(read: () => { readonly open: number; readonly limit: number }): void;
}

const REQUEST_BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** A call in process takes microseconds, one over the wire milliseconds: both must be readable. */
const OPERATION_BOUNDS = [0.000_01, 0.000_05, 0.000_25, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1, 5];

/** Gauges that prom-client names like counters; `nodejs_active_resources`, `_handles` and `_requests` hold the same by kind. */
const MISNAMED = ['nodejs_active_resources_total', 'nodejs_active_handles_total', 'nodejs_active_requests_total'];

/** Makes a registry of its own, so that several shops can live in one process (tests). */
export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  const requests = requestDurations(registry);
  const operations = new Durations(registry, {
    name: 'cleave_operation_duration_seconds',
    help: 'Contract operations by module, operation, caller and outcome (ok or the error code).',
    bounds: OPERATION_BOUNDS,
  });
  const handlers = new Durations(registry, {
    name: 'cleave_event_handler_duration_seconds',
    help: 'Event handlers by subscriber, event type and outcome (ok or the error code).',
    bounds: REQUEST_BOUNDS,
  });
  return {
    registry,
    route: (labels) => routeRecorder(requests, labels),
    operation: (module, operation, caller) => recorder((outcome) => operations.series({ module, operation, caller, outcome })),
    handler: (subscriber, event) => recorder((outcome) => handlers.series({ subscriber, event, outcome })),
    outbox: outboxGauges(registry),
    pool: poolGauges(registry),
    openRequests: (read) => openRequestGauges(registry, read),
  };
}

function requestDurations(registry: Registry): Durations {
  const durations = new Durations(registry, {
    name: 'http_request_duration_seconds',
    help: 'Requests by module, method, route and status, from the first hook to the end of the reply.',
    bounds: REQUEST_BOUNDS,
  });
  new CountOf(registry, { name: 'http_requests_total', help: 'Requests by module, method, route and status.', of: durations });
  return durations;
}

function recorder(bind: (outcome: string) => Series): Recorder {
  const ok = bind('ok');
  const others = new Map<string, Series>();
  return {
    observe(seconds, outcome) {
      if (outcome === 'ok') ok.observe(seconds);
      else bound(others, outcome, bind).observe(seconds);
    },
  };
}

function routeRecorder(durations: Durations, labels: RouteLabels): RouteRecorder {
  const { module, method, route } = labels;
  const byStatus = new Map<number, Series>();
  const bind = (status: number): Series => durations.series({ module, method, route, status: String(status) });
  return { observe: (seconds, status) => bound(byStatus, status, bind).observe(seconds) };
}

function bound<K>(known: Map<K, Series>, key: K, bind: (key: K) => Series): Series {
  const found = known.get(key);
  if (found) return found;
  const series = bind(key);
  known.set(key, series);
  return series;
}

function outboxGauges(registry: Registry): Metrics['outbox'] {
  const common = { labelNames: ['module'], registers: [registry] };
  const oldest = new Gauge({ name: 'cleave_outbox_oldest_seconds', help: 'Age of the oldest event that waits in an outbox.', ...common });
  const pending = new Gauge({ name: 'cleave_outbox_pending', help: 'Events that wait in an outbox.', ...common });
  return (module, backlog) => {
    oldest.set({ module }, backlog.oldestSeconds);
    pending.set({ module }, backlog.pending);
  };
}

function openRequestGauges(registry: Registry, read: () => { readonly open: number; readonly limit: number }): void {
  const registers = [registry];
  new Gauge({
    name: 'cleave_open_requests',
    help: 'Requests to modules that are being answered.',
    registers,
    collect() {
      this.set(read().open);
    },
  });
  new Gauge({
    name: 'cleave_open_requests_limit',
    help: 'How many requests are taken at a time; +Inf while there is room for all.',
    registers,
    collect() {
      this.set(read().limit);
    },
  });
}

function poolGauges(registry: Registry): Metrics['pool'] {
  const pools = new Map<string, () => PoolState>();
  const registers = [registry];
  new Gauge({
    name: 'cleave_pool_connections',
    help: 'Connections of a pool, busy and idle.',
    labelNames: ['pool', 'state'],
    registers,
    collect() {
      for (const [pool, read] of pools) {
        const { total, idle } = read();
        this.set({ pool, state: 'busy' }, total - idle);
        this.set({ pool, state: 'idle' }, idle);
      }
    },
  });
  new Gauge({
    name: 'cleave_pool_waiting',
    help: 'Work that waits for a connection of a pool.',
    labelNames: ['pool'],
    registers,
    collect() {
      for (const [pool, read] of pools) this.set({ pool }, read().waiting);
    },
  });
  return (name, read) => void pools.set(name, read);
}

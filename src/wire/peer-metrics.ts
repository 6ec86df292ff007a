/** What `/metrics` shows of the modules elsewhere. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { BreakerState, CalleeGuard } from './callee-guard.ts';

const STATES: readonly BreakerState[] = ['closed', 'half-open', 'open'];

/** @param guards by module; those that come later are shown, too */
export function showPeers(registry: Registry, guards: ReadonlyMap<string, CalleeGuard>): void {
  const common = { labelNames: ['callee'], registers: [registry] };
  new Gauge({
    name: 'cleave_breaker_state',
    help: 'Circuit breaker per module elsewhere: 1 for the state that it is in.',
    ...common,
    labelNames: ['callee', 'state'],
    collect() {
      for (const [callee, guard] of guards) for (const state of STATES) this.set({ callee, state }, guard.state === state ? 1 : 0);
    },
  });
  new Gauge({
    name: 'cleave_bulkhead_calls',
    help: 'Calls under way to a module elsewhere.',
    ...common,
    collect() {
      for (const [callee, guard] of guards) this.set({ callee }, guard.underWay);
    },
  });
  new Counter({
    name: 'cleave_call_retries_total',
    help: 'Calls to a module elsewhere that were repeated.',
    ...common,
    collect() {
      this.reset();
      for (const [callee, guard] of guards) this.inc({ callee }, guard.retries);
    },
  });
}

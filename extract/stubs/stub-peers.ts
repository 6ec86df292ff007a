/** Stand-ins for the modules elsewhere, made from their contracts alone: a module runs and is tested with nothing else there. */
import { Counter } from 'prom-client';
import type { Contract, Operation } from '../../src/contract/contract.ts';
import { CallError, ContractError } from '../../src/contract/errors.ts';
import type { Call } from '../../src/calls/call.ts';
import type { Client } from '../../src/contract/types.ts';
import { violationOf } from '../../src/contract/validate.ts';
import type { ConnectPeers, Peers, PeerSurroundings } from '../../src/host/peers.ts';
import type { ModuleHealth } from '../../src/http/platform-routes.ts';
import { valueFor } from './value.ts';

/** What operations answer in place of a made-up value, by their names, e.g. keys that tokens can be verified with. */
export type Prepared = Readonly<Record<string, (input: unknown) => unknown>>;

export interface StubOptions {
  readonly prepared: Prepared;
  /** Whose things the stand-ins tell of where no customer asks. */
  readonly customerId: string;
}

export function stubPeers(options: StubOptions): ConnectPeers {
  return (surroundings) => new StubPeers(options, surroundings);
}

class StubPeers implements Peers {
  readonly deliver: Peers['deliver'];
  readonly #options: StubOptions;
  readonly #surroundings: PeerSurroundings;
  readonly #stubbed = new Set<string>();

  constructor(options: StubOptions, surroundings: PeerSurroundings) {
    this.#options = options;
    this.#surroundings = surroundings;
    const taken = new Counter({ name: 'cleave_stub_events_total', help: 'Events that a stand-in has taken, by subscriber and type.', labelNames: ['subscriber', 'event'], registers: [surroundings.metrics.registry] });
    this.deliver = async (subscriber, events) =>
      events.map(({ type }) => {
        taken.inc({ subscriber, event: type });
        return { outcome: 'handled' };
      });
  }

  client<C extends Contract>(contract: C, caller: string): Client<C> {
    this.#stubbed.add(contract.name);
    const operations = Object.entries(contract.operations).map(([name, operation]) => [name, this.#operation(contract, { name, operation, caller })]);
    return Object.fromEntries(operations) as Client<C>;
  }

  health(): Record<string, ModuleHealth> {
    return Object.fromEntries([...this.#stubbed].map((module) => [module, 'healthy']));
  }

  halt(): void {
    // Nothing waits here.
  }

  async close(): Promise<void> {
    // Nothing is open.
  }

  /** Refuses what the module itself would refuse at its door, and what nobody waits for any longer. */
  #operation(contract: Contract, { name, operation, caller }: { name: string; operation: Operation; caller: string }) {
    const recorder = this.#surroundings.metrics.operation(contract.name, name, caller);
    return async (input: unknown, call: Call): Promise<unknown> => {
      const started = performance.now();
      try {
        call.throwIfOver();
        const answer = this.#answer(`${contract.name}.${name}`, operation, input, call);
        recorder.observe((performance.now() - started) / 1_000, 'ok');
        return answer;
      } catch (error) {
        recorder.observe((performance.now() - started) / 1_000, error instanceof CallError || error instanceof ContractError ? error.code : 'INTERNAL');
        throw error;
      }
    };
  }

  #answer(label: string, { input: schema, output }: Operation, input: unknown, call: Call): unknown {
    const violation = violationOf(schema, input);
    if (violation) throw new CallError('VALIDATION_FAILED', `the input of ${label} does not fit its schema at "${violation.path}": ${violation.message}`, { errors: [violation] });
    const prepared = this.#options.prepared[label.slice(label.indexOf('.') + 1)];
    if (prepared) return structuredClone(prepared(input));
    const customerId = call.actor?.role === 'customer' ? call.actor.id : this.#options.customerId;
    return valueFor(output, { input: input as Record<string, unknown>, known: { customerId }, seed: `${label} ${JSON.stringify(input)}` });
  }
}

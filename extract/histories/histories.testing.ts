/**
 * One history, in several placements: what was answered on the way, what people see in the end and what each module keeps are the same
 * whether the shop is one process, one process and a module that left, or a service for each module.
 */
import { isDeepStrictEqual } from 'node:util';
import { discoverModules, type TestScope, type TestShop, testShop } from '#testing';
import { stopTestServer } from '../../src/testing/database.ts';
import { servicesBehindGateway } from '../gateway/services.testing.ts';
import { Random } from '../torture/random.testing.ts';
import type { Finding, Result } from '../torture/result.testing.ts';
import { drawHistory } from './history.testing.ts';
import { Player, type Seen, type Told } from './player.testing.ts';
import { type State, stateOf } from './state.testing.ts';

export interface Happened {
  readonly told: readonly Told[];
  readonly seen: readonly Seen[];
  readonly state: State;
}

/** Whatever would make an answer depend on how fast something else is; what is tried again is tried soon. */
const settings = { SAGA_RETRY_BASE_MS: '20', SAGA_RETRY_MAX_MS: '200', PAYMENT_ORDER_WAIT_MS: '0', PAYMENT_GATEWAY_TIMEOUT_MS: '100' };

export type Place = (t: TestScope) => Promise<TestShop>;

/** By what it is called. */
export async function placements(): Promise<Map<string, Place>> {
  const modules = (await discoverModules()).map(({ contract }) => contract.name);
  const split = (services: readonly (readonly string[])[]): Place => async (t) => servicesBehindGateway(t, { services, settings });
  return new Map([
    ...modules.map((module) => [`${module} as a service of its own`, split([[module], modules.filter((other) => other !== module)])] as const),
    ['each module as a service of its own', split(modules.map((module) => [module]))],
  ]);
}

export const oneProcess: Place = async (t) => {
  const shop = await testShop(t, { settings });
  if (!shop.isOneProcess) throw new Error('CLEAVE_PLACEMENT places the shop elsewhere: there is nothing to compare with');
  return shop;
};

export async function happenedIn(place: Place, { seed, steps }: { seed: number; steps: number }): Promise<Happened> {
  const teardowns: (() => Promise<void> | void)[] = [];
  try {
    const shop = await place({ teardown: (action) => void teardowns.unshift(action) });
    const player = new Player(shop);
    const told = await player.play(drawHistory(seed, steps));
    return { told, seen: await player.seen(), state: await stateOf(shop, player.side) };
  } finally {
    // All of them, and none in the place of what has gone wrong before.
    for (const teardown of teardowns) await Promise.resolve(teardown()).catch((error: unknown) => process.stderr.write(`what was started did not end cleanly: ${String(error)}\n`));
  }
}

export interface HistoriesOptions {
  readonly seed: number;
  readonly steps: number;
  readonly count: number;
  progress(line: string): void;
}

/** Each history in all placements. */
export async function histories({ seed, steps, count, progress }: HistoriesOptions): Promise<Result> {
  const random = new Random(seed);
  const all = await placements();
  const findings: Finding[] = [];
  try {
    for (let n = 1; n <= count; n += 1) {
      const history = { seed: n === 1 ? seed : random.between(0, 2 ** 31), steps };
      const expected = await happenedIn(oneProcess, history);
      progress(`history ${n} of ${count}, seed ${history.seed}: ${expected.state['orders.customer_order']!.length} orders, ${expected.state['notifications.notification']!.length} messages`);
      for (const [name, place] of all) findings.push(...(await compared(expected, `history ${n}, ${name}`, place, history)));
    }
  } finally {
    await stopTestServer();
  }
  return { findings, figures: [`${count} histories of ${steps} steps in ${all.size + 1} placements each`] };
}

/** A placement in which the history does not come to its end differs, too. */
async function compared(expected: Happened, name: string, place: Place, history: { seed: number; steps: number }): Promise<Finding[]> {
  try {
    return sameAs(expected, name, await happenedIn(place, history));
  } catch (error) {
    return [{ claim: `${name}: the history comes to its end`, violations: [String(error)] }];
  }
}

export function sameAs(expected: Happened, name: string, { told, seen, state }: Happened): Finding[] {
  return [
    { claim: `${name}: each step is answered the same`, violations: pairs(told, expected.told).flatMap(([found, other]) => difference(JSON.stringify((found ?? other)!.step), found?.answer, other?.answer)) },
    { claim: `${name}: people see the same`, violations: pairs(seen, expected.seen).flatMap(([found, other]) => difference(String((found ?? other)!.path), found, other)) },
    { claim: `${name}: the modules keep the same`, violations: Object.keys({ ...state, ...expected.state }).flatMap((table) => difference(table, state[table], expected.state[table])) },
  ];
}

function pairs<T>(found: readonly T[], expected: readonly T[]): (readonly [T | undefined, T | undefined])[] {
  return Array.from({ length: Math.max(found.length, expected.length) }, (_, n) => [found[n], expected[n]] as const);
}

function difference(what: string, found: unknown, expected: unknown): string[] {
  return isDeepStrictEqual(found, expected) ? [] : [`${what}: ${JSON.stringify(found)} where one process has ${JSON.stringify(expected)}`];
}

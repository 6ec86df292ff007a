/**
 * One history, in every placement: what was answered on the way, what people see in the end and what each module keeps are the same whether
 * the shop is one process, one process and one module that left, or a service for each module. HISTORY_SEED draws another one.
 */
import t from 'tap';
import { discoverModules, type TestScope, type TestShop, testShop } from '#testing';
import { servicesBehindGateway } from '../gateway/services.testing.ts';
import { drawHistory } from './history.testing.ts';
import { Player } from './player.testing.ts';
import { stateOf } from './state.testing.ts';

const seed = Number(process.env['HISTORY_SEED'] ?? 20_261_129);
const steps = drawHistory(seed, Number(process.env['HISTORY_STEPS'] ?? 40));
const settings = { EVENT_POLL_MS: '50', SAGA_RETRY_BASE_MS: '20', SAGA_RETRY_MAX_MS: '200', PAYMENT_ORDER_WAIT_MS: '0', PAYMENT_GATEWAY_TIMEOUT_MS: '100' };
t.setTimeout(600_000);

async function happenedIn(shop: TestShop) {
  const player = new Player(shop);
  const told = await player.play(steps);
  return { told, seen: await player.seen(), state: await stateOf(shop, player.side) };
}

type Place = (t: TestScope) => Promise<TestShop>;

const modules = (await discoverModules()).map(({ contract }) => contract.name);
const split = (services: readonly (readonly string[])[]): Place => async (t) => servicesBehindGateway(t, { services, settings });
const placements: Readonly<Record<string, Place>> = {
  ...Object.fromEntries(modules.map((module) => [`${module} as a service of its own`, split([[module], modules.filter((other) => other !== module)])])),
  'each module as a service of its own': split(modules.map((module) => [module])),
};

const expected = await happenedIn(await testShop(t, { settings }));

for (const [name, place] of Object.entries(placements)) {
  await t.test(name, async (t) => {
    const { told, seen, state } = await happenedIn(await place(t));
    told.forEach(({ step, answer }, n) => t.strictSame(answer, expected.told[n]!.answer, JSON.stringify(step)));
    t.strictSame(seen, expected.seen, 'people see the same');
    for (const table of Object.keys(expected.state)) t.strictSame(state[table], expected.state[table], table);
    t.strictSame(Object.keys(state), Object.keys(expected.state));
  });
}

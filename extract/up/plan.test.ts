import t from 'tap';
import { discoverModules } from '#testing';
import { readTopology, shippedTopologies } from '../topology/read-topology.ts';
import { planOf, poolSizeFor, type ProcessPlan } from './plan.ts';

const modules = await discoverModules();
const names = modules.map(({ contract }) => contract.name);

async function planned(topology: string): Promise<ProcessPlan[]> {
  return planOf(await readTopology(topology, names), modules);
}

void t.test('services start after those they call, the gateway last', async (t) => {
  const plans = await planned('microservices');
  const order = plans.map(({ name }) => name);
  t.equal(order.at(-1), 'gateway');
  for (const { contract, dependencies } of modules) {
    const own = plans.find(({ name }) => name === contract.name)!;
    for (const { name } of Object.values(dependencies)) t.ok(plans.find((plan) => plan.name === name)!.wave < own.wave, `${name} before ${contract.name}`);
  }
});

void t.test('whose word on clients the gateway takes is not whose word services take', async (t) => {
  for (const { name, env } of await planned('microservices')) t.strictSame(Object.hasOwn(env, 'TRUST_PROXY'), name !== 'gateway', name);
  for (const { env } of await planned('monolith')) t.strictSame(env, {}, 'without a gateway there is nobody else to believe');
});

void t.test('services that call each other have a place, too', async (t) => {
  const order = (await planned('three-out')).map(({ name, wave }) => [wave, name]);
  t.strictSame(order.map(([, name]) => name).toSorted(), ['catalog', 'gateway', 'notifications', 'payments', 'shop']);
  t.strictSame(order, order.toSorted(([a], [b]) => Number(a) - Number(b)));
});

void t.test('the registry comes first, and replicas are numbered', async (t) => {
  const plans = await planned('replicated');
  t.match(plans[0], { name: 'registry', wave: 0, args: ['registry'], port: 8090 });
  t.equal(plans.length, 22);
  t.match(plans.filter(({ modules: hosted }) => hosted.includes('orders')), [
    { name: 'orders-1', args: ['serve', 'orders', '--replica', '1'], port: 0, internalPort: 0 },
    { name: 'orders-2', args: ['serve', 'orders', '--replica', '2'], port: 0, internalPort: 0 },
  ]);
});

void t.test('a topology of one service needs nothing else', async (t) => {
  t.same((await planned('monolith')).map(({ name, wave, port }) => ({ name, wave, port })), [{ name: 'shop', wave: 1, port: 8080 }]);
});

void t.test('the embedded database has enough connections for every topology that ships', async (t) => {
  for (const name of await shippedTopologies()) {
    const plans = await planned(name);
    const hosted = plans.flatMap((plan) => plan.modules).length;
    const pool = poolSizeFor({ max: 200, processes: plans.length, modules: hosted });
    t.ok(pool >= 3 && pool <= 10, `${name}: pools of ${pool}`);
    t.ok(hosted * (pool + 2) + plans.length * 3 < 200, name);
  }
  t.ok(poolSizeFor({ max: 50, processes: 12, modules: 10 }) < 2, 'and it is known when there are too few');
});

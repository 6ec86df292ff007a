/**
 * The short form of `npm run torture -- blast`: one service beside the rest hangs, and the same operations are refused that the page tells
 * of.
 */
import t from 'tap';
import { discoverModules, emptyDatabase, TEST_ROLE_PREFIX, testShop } from '#testing';
import { seedOfTests, tell } from '../torture/told.testing.ts';
import { blast } from './blast.testing.ts';
import { operations } from './operations.testing.ts';
import { pageOf, toldOf } from './page.testing.ts';

t.setTimeout(240_000);

const modules = (await discoverModules()).map(({ contract }) => contract.name);

t.test('a service that hangs takes down what is said of it, and nothing else', { timeout: 200_000 }, async (t) => {
  const { adminUrl, drop } = await emptyDatabase();
  t.teardown(drop);
  const services = { payments: ['payments'], rest: modules.filter((module) => module !== 'payments') };
  const result = await blast({ services, cases: [{ service: 'payments', fault: 'hung' }], seed: seedOfTests, adminUrl, rolePrefix: TEST_ROLE_PREFIX, progress: (line) => t.comment(line) });
  tell(t, result);
  for (const { fault, routes } of result.reaches) {
    const page = await toldOf(fault, 'payments');
    const refused = (worthOf: (route: string) => string | undefined) => operations.map(({ route }) => route).filter((route) => worthOf(route) === '503');
    t.strictSame(refused((route) => routes[route]!.worth), refused((route) => page.get(route)), `${fault}: what is refused is on the page`);
    t.match(pageOf({ apart: result.reaches, one: [] }), /\| `POST \/payments` \| 503, \d+\.\d s \|/);
  }
});

t.test('every operation is asked', async (t) => {
  const document = (await (await testShop(t)).request('GET', '/openapi.json')).body as { paths: Record<string, object> };
  const routes = Object.entries(document.paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`));
  // What operators ask is answered by the gateway itself, from all services.
  const ofModules = routes.filter((route) => !/ \/(health|ready|metrics)$| \/api\/v1\/admin\/events\//.test(route));
  t.same(operations.map(({ route }) => route).toSorted(), ofModules.toSorted());
});

/** What operators see of requests: `/metrics`, `/health`, `/ready`. */
import t from 'tap';
import type { ModuleHealth } from './platform-routes.ts';
import { testServer } from './server.testing.ts';
import type { RoutesPlugin } from './route.ts';

const routes: RoutesPlugin = async (app) => {
  app.get('/things/:id', { config: { access: 'anyone' } }, async (request) => {
    if ((request.params as { id: string }).id === 'bad') throw new Error('bad');
    return {};
  });
};

t.test('/metrics', async (t) => {
  const server = await testServer(t, { routes });
  for (const id of ['1', '2', 'bad']) await server.request('GET', `/api/v1/things/${id}`);
  await server.request('GET', '/nowhere/1');
  await server.request('GET', '/nowhere/2');
  await server.request('POST', '/api/v1/things/%zz');
  const { status, headers, body } = await server.request('GET', '/metrics');
  t.equal(status, 200);
  t.match(headers.get('content-type'), /^text\/plain; version=0\.0\.4/);

  await t.test('counts requests by route, never by URL', async (t) => {
    const counts = (body as string).split('\n').filter((line) => line.startsWith('http_requests_total{')).sort();
    t.match(counts, [
      'http_requests_total{module="platform",method="any",route="unmatched",status="400"} 1',
      'http_requests_total{module="platform",method="any",route="unmatched",status="404"} 2',
      'http_requests_total{module="shop",method="GET",route="/api/v1/things/:id",status="200"} 2',
      'http_requests_total{module="shop",method="GET",route="/api/v1/things/:id",status="500"} 1',
    ]);
    t.match(body, 'http_request_duration_seconds_count{module="shop",method="GET",route="/api/v1/things/:id",status="200"} 2');
  });
});

t.test('/health and /ready', async (t) => {
  const states: Record<string, ModuleHealth> = { one: 'healthy', two: 'healthy' };
  const modules = Object.keys(states).map((name) => ({ name, summary: name, errors: {}, health: () => states[name]! }));
  let reasons: string[] = ['starting'];
  const server = await testServer(t, { modules, ready: () => ({ ready: reasons.length === 0, reasons }) });

  await t.test('health is 200 while the process lives, and degraded when a module is not healthy', async (t) => {
    t.same((await server.request('GET', '/health')).body, { status: 'healthy', modules: { one: 'healthy', two: 'healthy' } });
    for (const state of ['degraded', 'unhealthy'] as const) {
      states['two'] = state;
      const { status, body } = await server.request('GET', '/health');
      t.equal(status, 200);
      t.same(body, { status: 'degraded', modules: { one: 'healthy', two: state } });
    }
  });

  await t.test('ready is 503 with reasons, then 200', async (t) => {
    const starting = await server.request('GET', '/ready');
    t.equal(starting.status, 503);
    t.same(starting.body, { ready: false, reasons: ['starting'] });
    reasons = [];
    t.same((await server.request('GET', '/ready')).body, { ready: true, reasons: [] });
  });
});

/** What the gateway decides itself: who is let in, how often, and where nothing is. */
import t from 'tap';
import { randomBytes } from 'node:crypto';
import { testRedisUrl, withoutRedis } from '#testing';
import { staticDiscovery } from '../../src/wire/discovery.ts';
import { testGateway } from './services.testing.ts';
import { begin, deadOrigin, gatewayTo, moduleOf, service, things } from './upstream.testing.ts';

const THINGS = '/api/v1/things';

/** A service that counts what reaches it. */
async function counted(t: Parameters<typeof service>[0], options: { documented?: boolean } = {}) {
  const urls: string[] = [];
  const origin = await service(t, (incoming, reply) => void (urls.push(incoming.url!), reply.end('{}')), options);
  return { origin, urls };
}

async function statusOf(url: string, headers: Record<string, string> = {}): Promise<number> {
  const response = await fetch(url, { headers });
  await response.arrayBuffer();
  return response.status;
}

t.test('where a token is needed, one that is missing or bad gets no further', async (t) => {
  const { origin, urls } = await counted(t);
  const { url } = await gatewayTo(t, [origin]);
  const bad = { authorization: 'Bearer no.such.token' };
  const refused = await fetch(`${url}${THINGS}/1`);
  t.equal(refused.status, 401);
  t.equal(refused.headers.get('www-authenticate'), 'Bearer');
  t.match(await refused.json(), { code: 'UNAUTHENTICATED', instance: `${THINGS}/1` });
  t.equal(await statusOf(`${url}${THINGS}/1`, bad), 401);
  t.equal(await statusOf(`${url}${THINGS}/search`, bad), 401, 'an optional one must be good');
  t.same(urls, []);
  t.equal(await statusOf(`${url}${THINGS}/search`), 200);
  t.equal(await statusOf(`${url}${THINGS}`, bad), 200, 'where none is looked at, it may be anything');
  t.equal(await statusOf(`${url}/.well-known/things`, bad), 200);
  t.same(urls, [`${THINGS}/search`, THINGS, '/.well-known/things']);
});

t.test('what is not certain is left to the service, which checks in any case', async (t) => {
  const { origin, urls } = await counted(t);
  const { url } = await gatewayTo(t, [origin]);
  const odd = [`${THINGS}/%31`, `${THINGS}/`, `${THINGS}/1/2`, `${THINGS}/${'x'.repeat(101)}`];
  for (const path of odd) t.equal(await statusOf(`${url}${path}`), 200, path);
  t.same(urls, odd);
  const silent = await counted(t, { documented: false });
  const knowsNothing = await gatewayTo(t, [silent.origin]);
  t.equal(await statusOf(`${knowsNothing.url}${THINGS}/1`), 200, 'as long as its document is not known');
});

t.test('a path belongs to the module with the longest that fits', async (t) => {
  const [inner, outer] = [await counted(t), await counted(t)];
  const modules = [things, moduleOf('parts', ['/things/parts'])];
  const { url } = await testGateway(t, { modules, publicly: staticDiscovery({ things: [outer.origin], parts: [inner.origin] }) });
  for (const path of ['/things/x', '/things/parts', '/things/parts/1', '/things/partsX']) await (await fetch(`${url}/api/v1${path}`, { method: 'POST' })).arrayBuffer();
  t.same(outer.urls, ['/api/v1/things/x', '/api/v1/things/partsX']);
  t.same(inner.urls, ['/api/v1/things/parts', '/api/v1/things/parts/1']);
  const unknown = await fetch(`${url}/api/v1/thingsX`);
  t.match([unknown.status, await unknown.json()], [404, { code: 'ROUTE_NOT_FOUND' }]);
});

t.test('an absolute target leads to the same place', async (t) => {
  const { origin, urls } = await counted(t);
  const { url } = await gatewayTo(t, [origin]);
  const { sent, answer } = begin(url, 'GET');
  sent.path = `http://elsewhere.example${THINGS}?x=1`;
  sent.end();
  (await answer).resume();
  t.same(urls, [`${THINGS}?x=1`]);
});

t.test('health is that of the services, and a gateway is ready while there is any', async (t) => {
  const healthy = await service(t, (_incoming, reply) => void reply.end('{"status":"healthy","modules":{"things":"healthy","parts":"unhealthy"}}'));
  const hung = await service(t, () => undefined);
  const modules = ['parts', 'gone', 'hung', 'half'].map((name) => moduleOf(name, [`/${name}`]));
  const origins = { things: [healthy], parts: [healthy], gone: [await deadOrigin()], hung: [hung], half: [healthy] };
  const { url } = await testGateway(t, { modules: [things, ...modules], publicly: staticDiscovery(origins), settings: { UPSTREAM_TIMEOUT_MS: '100' } });
  const began = performance.now();
  const reply = await fetch(`${url}/health`);
  t.ok(performance.now() - began < 3_000, 'nobody who hangs holds it up');
  t.same(await reply.json(), { status: 'degraded', modules: { things: 'healthy', parts: 'unhealthy', gone: 'unhealthy', hung: 'unhealthy', half: 'unhealthy' } });
  t.match(await (await fetch(`${url}/ready`)).json(), { ready: true });
  const alone = await testGateway(t, { modules: [things], publicly: staticDiscovery({ things: [await deadOrigin()] }) });
  const answer = await fetch(`${alone.url}/ready`);
  t.match([answer.status, await answer.json()], [503, { ready: false, reasons: ['no service can be reached'] }]);
});

t.test('a module of which some replicas are well is degraded', async (t) => {
  const healthy = await service(t, (_incoming, reply) => void reply.end('{"modules":{"things":"healthy"}}'));
  const { url } = await gatewayTo(t, [healthy, await deadOrigin()]);
  t.match(await (await fetch(`${url}/health`)).json(), { status: 'degraded', modules: { things: 'degraded' } });
});

t.test('two gateways count together', { skip: await withoutRedis() }, async (t) => {
  const limit = 6;
  const settings = { RATE_LIMIT_PER_MINUTE: String(limit), REDIS_URL: testRedisUrl, TRUST_PROXY: '1' };
  const { origin, urls } = await counted(t);
  const gateways = [await gatewayTo(t, [origin], settings), await gatewayTo(t, [origin], settings)];
  const from = { 'x-forwarded-for': `2001:db8:${randomBytes(2).toString('hex')}:${randomBytes(2).toString('hex')}::1` };
  const statuses: number[] = [];
  for (let n = 0; n < limit + 2; n += 1) statuses.push(await statusOf(`${gateways[n % 2]!.url}${THINGS}`, from));
  t.same(statuses, [200, 200, 200, 200, 200, 200, 429, 429]);
  t.equal(urls.length, limit, 'what is too much gets no further');
  const refused = await fetch(`${gateways[0]!.url}${THINGS}`, { headers: from });
  t.ok(Number(refused.headers.get('retry-after')) > 0);
  t.equal(refused.headers.get('ratelimit-limit'), String(limit));
  t.match(await refused.json(), { code: 'RATE_LIMITED' });
});

/** Rate limits over several processes: shared through Redis, and never at its mercy. */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import t from 'tap';
import { testRedisUrl, withoutRedis } from '../testing/redis.ts';
import { testServer, type TestServer, untilStatus } from './server.testing.ts';
import type { RoutesPlugin } from './route.ts';

const routes: RoutesPlugin = async (app) => {
  app.get('/open', { config: { access: 'anyone' } }, async () => ({}));
};

const LIMIT = 4;
const skip = await withoutRedis();

/** Nobody has come from there yet, in this test run or another one at the same Redis. */
function freshAddress(): string {
  return `10.${randomInt(256)}.${randomInt(256)}.${randomInt(256)}`;
}

async function ask(server: TestServer, address: string): Promise<number> {
  return (await server.request('GET', '/api/v1/open', { headers: { 'x-forwarded-for': address } })).status;
}

async function askAll(servers: readonly TestServer[], address: string): Promise<number[]> {
  const seen: number[] = [];
  for (const server of servers) seen.push(await ask(server, address));
  return seen;
}

const settingsWith = (REDIS_URL: string) => ({ RATE_LIMIT_PER_MINUTE: LIMIT, TRUST_PROXY: '1', REDIS_URL });

/** A line to Redis that can become slow, or deliver nothing for a while without either end being told, or be cut. */
async function lineToRedis(scope: { teardown(action: () => void): void }) {
  const target = new URL(testRedisUrl);
  const sockets = new Set<Socket>();
  let delayMs = 0;
  let held: (() => void)[] | undefined;
  const carry = (deliver: () => void): void => {
    if (held) held.push(deliver);
    else if (delayMs === 0) deliver();
    else setTimeout(deliver, delayMs);
  };
  const server = createServer((near) => {
    const far = connect(Number(target.port || 6379), target.hostname);
    for (const [from, to] of [[near, far], [far, near]] as const) {
      sockets.add(from);
      from.on('data', (data) => carry(() => to.write(data)));
      from.on('error', () => undefined);
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  const listen = async (port = 0): Promise<number> => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as { port: number }).port;
  };
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  const port = await listen();
  scope.teardown(cut);
  const url = new URL(target);
  url.hostname = '127.0.0.1';
  url.port = String(port);
  return {
    url: url.href,
    delay: (ms: number) => void (delayMs = ms),
    hold: () => void (held = []),
    release() {
      const deliveries = held ?? [];
      held = undefined;
      for (const deliver of deliveries) deliver();
    },
    cut,
    restore: async () => listen(port),
  };
}

function told(server: TestServer, message: RegExp): number {
  return server.lines.filter(({ msg }) => message.test(String(msg))).length;
}

const ALONE = /each process counts requests by itself/;
const TOGETHER = /Redis answers again/;

async function until(check: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!check()) {
    if (Date.now() > deadline) throw new Error('waited 10 s in vain');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

t.test('what a caller asks of one process counts in the other', { skip }, async (t) => {
  const settings = settingsWith(testRedisUrl);
  const [one, two] = [await testServer(t, { routes, settings }), await testServer(t, { routes, settings })];
  const address = freshAddress();
  t.same(await askAll([one, two, one, two], address), [200, 200, 200, 200]);
  t.same(await askAll([one, two], address), [429, 429]);
  t.equal(await ask(two, freshAddress()), 200, 'others are not held up');
  const refused = await two.request('GET', '/api/v1/open', { headers: { 'x-forwarded-for': address } });
  const wait = Number(refused.headers.get('retry-after'));
  t.ok(wait >= 1 && wait <= 60, `to come back after ${wait} s`);
  t.equal(refused.headers.get('ratelimit-limit'), String(LIMIT));
});

t.test('who counts under a name of its own counts apart', { skip }, async (t) => {
  const settings = settingsWith(testRedisUrl);
  const gateways = [await testServer(t, { routes, settings, countedAs: 'gateway' }), await testServer(t, { routes, settings, countedAs: 'gateway' })];
  const service = await testServer(t, { routes, settings });
  const address = freshAddress();
  t.same(await askAll([service, service, ...gateways, ...gateways], address), [200, 200, 200, 200, 200, 200]);
  t.same(await askAll([...gateways, service, service, service], address), [429, 429, 200, 200, 429]);
});

t.test('a hundred requests at once are not more than the limit', { skip }, async (t) => {
  const settings = settingsWith(testRedisUrl);
  const servers = [await testServer(t, { routes, settings }), await testServer(t, { routes, settings })];
  const address = freshAddress();
  const statuses = await Promise.all(Array.from({ length: 100 }, async (_, i) => ask(servers[i % 2]!, address)));
  t.equal(statuses.filter((status) => status === 200).length, LIMIT);
  t.equal(statuses.filter((status) => status === 429).length, 100 - LIMIT);
});

t.test('a Redis that goes silent holds up no request, and is found again', { skip }, async (t) => {
  const line = await lineToRedis(t);
  const settings = settingsWith(line.url);
  const [one, two] = [await testServer(t, { routes, settings }), await testServer(t, { routes, settings })];
  const address = freshAddress();
  t.same(await askAll([one, two], address), [200, 200]);

  line.hold();
  const began = performance.now();
  t.same(await askAll([one, one, one], address), [200, 200, 200], 'one goes on from what it has seen itself');
  t.equal(await ask(one, address), 429);
  t.same(await askAll([two, two, two, two], address), [200, 200, 200, 429], 'and so does two');
  for (let i = 0; i < 40; i += 1) t.equal(await ask(one, address), 429);
  const took = performance.now() - began;
  t.ok(took < 2_500, `48 requests took ${took.toFixed()} ms, not 48 times 100`);
  t.equal(told(one, ALONE), 1, 'it is told once');

  line.release();
  await until(() => told(one, TOGETHER) === 1 && told(two, TOGETHER) === 1);
  t.same(await askAll([one, two, one, two, one, two], freshAddress()), [200, 200, 200, 200, 429, 429]);
  t.equal(told(one, ALONE), 1);
});

t.test('a Redis that is slow holds up one request, once', { skip }, async (t) => {
  const line = await lineToRedis(t);
  const server = await testServer(t, { routes, settings: { ...settingsWith(line.url), RATE_LIMIT_PER_MINUTE: 1_000 } });
  const address = freshAddress();
  t.equal(await ask(server, address), 200);
  line.delay(150);
  const began = performance.now();
  for (let i = 0; i < 50; i += 1) t.equal(await ask(server, address), 200);
  const took = performance.now() - began;
  t.ok(took < 2_500, `50 requests took ${took.toFixed()} ms, not 50 times 100`);
  t.equal(told(server, ALONE), 1);
  // Probes that come late are no answers either.
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  t.equal(told(server, TOGETHER), 0);
  line.delay(0);
  await until(() => told(server, TOGETHER) === 1);
});

t.test('a Redis that goes away and comes back', { skip }, async (t) => {
  const line = await lineToRedis(t);
  const settings = settingsWith(line.url);
  const [one, two] = [await testServer(t, { routes, settings }), await testServer(t, { routes, settings })];
  t.equal(await ask(one, freshAddress()), 200);
  line.cut();
  const address = freshAddress();
  t.same(await askAll([one, one, one, one, one], address), [200, 200, 200, 200, 429], 'one counts by itself');
  t.same(await askAll([two, two, two, two, two], address), [200, 200, 200, 200, 429], 'and so does two');
  await line.restore();
  await until(() => told(one, TOGETHER) === 1 && told(two, TOGETHER) === 1);
  t.same(await askAll([one, two, one, two, one, two], freshAddress()), [200, 200, 200, 200, 429, 429]);
});

t.test('a Redis that was never there keeps no server from starting', async (t) => {
  const closed = createServer().listen(0, '127.0.0.1');
  await once(closed, 'listening');
  const { port } = closed.address() as { port: number };
  closed.close();
  const server = await testServer(t, { routes, settings: settingsWith(`redis://:secret@127.0.0.1:${port}`) });
  const address = freshAddress();
  t.same(await askAll(Array.from({ length: LIMIT + 1 }, () => server), address), [200, 200, 200, 200, 429]);
  t.equal(told(server, ALONE), 1);
  t.notMatch(JSON.stringify(server.lines), /secret/, 'no password is logged');
  t.equal((await untilStatus(200, async () => server.request('GET', '/health'))).status, 200);
});

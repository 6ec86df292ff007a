/** The registry, its clients and its replicas, over real connections. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import t from 'tap';
import type { TestScope } from '#testing';
import { createLog } from '../../src/log/log.ts';
import { Replicas } from '../../src/wire/replicas.ts';
import { ServiceTokens } from '../../src/wire/service-tokens.ts';
import { createRegistry } from '../registry/server.ts';
import { Registration } from './registration.ts';
import { RegistryClient } from './registry-client.ts';

const tokens = new ServiceTokens('a secret of the services, long enough');
const log = createLog('silent');
const SECOND = 1_000;

async function startRegistry(t: TestScope, port = 0): Promise<{ url: string; port: number; server: FastifyInstance }> {
  const server = await createRegistry({ tokens, log });
  t.teardown(() => server.close());
  const url = await server.listen({ host: '127.0.0.1', port });
  return { url, port: Number(new URL(url).port), server };
}

type Readiness = 'ready' | 'not ready' | 'silent';

interface Replica {
  readonly origin: string;
  readonly registration: Registration;
  become(how: Readiness): void;
  die(): Promise<void>;
}

/** As a service has it: a listener with /ready, and its registration. */
async function replica(t: TestScope, url: string, { module = 'payments', how = 'ready' as Readiness } = {}): Promise<Replica> {
  let now = how;
  const server = createServer((_request, response) => void (now === 'silent' || response.writeHead(now === 'ready' ? 200 : 503).end('{}'))).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const registration = new Registration({ url, tokens, caller: module, log }, { service: module, modules: [module], public: origin, internal: origin });
  t.teardown(async () => {
    await registration.end();
    await closed(server);
  });
  return { origin, registration, become: (next) => (now = next), die: async () => closed(server) };
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  if (server.listening) await new Promise((resolve) => void server.close(resolve));
}

function client(t: TestScope, url: string): RegistryClient {
  const made = new RegistryClient({ url, tokens, caller: 'orders', log });
  t.teardown(() => made.close());
  return made;
}

async function until(check: () => boolean | Promise<boolean>, what: string, timeoutMs = 15_000): Promise<number> {
  const began = performance.now();
  while (!(await check())) {
    if (performance.now() - began > timeoutMs) throw new Error(`waited ${timeoutMs} ms for ${what}`);
    await sleep(5);
  }
  return performance.now() - began;
}

/** What the registry itself says. */
async function listed(url: string): Promise<string[]> {
  const answer = await fetch(`${url}/replicas`, { headers: { authorization: tokens.bearer({ caller: 'orders', callee: 'registry' }) } });
  return Object.values(((await answer.json()) as { replicas: Record<string, { internal: string }> }).replicas).map(({ internal }) => internal);
}

void t.test('clients find the replicas that are ready, by module', async (t) => {
  const { url } = await startRegistry(t);
  const seen = client(t, url).discovery('internal');
  const [one, other] = [await replica(t, url), await replica(t, url)];
  const unready = await replica(t, url, { module: 'shipping', how: 'not ready' });
  await until(() => seen.originsOf('payments').length === 2, 'both replicas of payments');
  t.strictSame([...seen.originsOf('payments')].sort(), [one.origin, other.origin].sort());
  t.strictSame(seen.originsOf('shipping'), [], 'a replica that is not ready is not called');
  t.strictSame(seen.originsOf('users'), []);
  unready.become('ready');
  await until(() => seen.originsOf('shipping').length === 1, 'shipping to be found ready');
  t.strictSame(client(t, url).discovery('public').originsOf('payments'), [], 'a client that has not been answered yet knows nobody');
});

void t.test('a replica that drains gets no new calls at once', async (t) => {
  const { url } = await startRegistry(t);
  const seen = client(t, url).discovery('internal');
  const replicas = new Replicas(seen);
  t.teardown(() => replicas.close());
  const [staying, leaving] = [await replica(t, url), await replica(t, url)];
  await until(() => seen.originsOf('payments').length === 2, 'both replicas');
  await leaving.registration.end();
  const took = await until(() => seen.originsOf('payments').length === 1, 'the client to hear of it');
  t.ok(took < SECOND, `it took ${took} ms`);
  const chosen = new Set(Array.from({ length: 50 }, () => replicas.choose('payments')!.origin));
  t.strictSame([...chosen], [staying.origin]);
});

void t.test('a replica that dies or hangs gets no new calls within a second of the registry knowing', async (t) => {
  const { url } = await startRegistry(t);
  const seen = client(t, url).discovery('internal');
  const [staying, dying, hanging] = [await replica(t, url), await replica(t, url), await replica(t, url)];
  await until(() => seen.originsOf('payments').length === 3, 'all replicas');
  for (const [gone, end] of [[dying, async () => dying.die()], [hanging, async () => hanging.become('silent')]] as const) {
    await end();
    await until(async () => !(await listed(url)).includes(gone.origin), 'the registry to know');
    t.ok((await until(() => !seen.originsOf('payments').includes(gone.origin), 'the client to know')) < SECOND);
  }
  t.strictSame(seen.originsOf('payments'), [staying.origin]);
  hanging.become('ready');
  await until(() => seen.originsOf('payments').length === 2, 'the one that hung to be back');
});

void t.test('while the registry is away its clients go on with what they know, and after its restart nobody has been missed', async (t) => {
  const first = await startRegistry(t);
  const seen = client(t, first.url).discovery('internal');
  const { origin } = await replica(t, first.url);
  await until(() => seen.originsOf('payments').length === 1, 'the replica');
  await first.server.close();
  let missed = 0;
  const watching = setInterval(() => (missed += seen.originsOf('payments').includes(origin) ? 0 : 1), 1);
  t.teardown(() => clearInterval(watching));
  const second = await startRegistry(t, first.port);
  await until(async () => (await listed(second.url)).includes(origin), 'the replica to register again');
  const late = await replica(t, second.url);
  await until(() => seen.originsOf('payments').includes(late.origin), 'the client to follow the new registry');
  t.equal(missed, 0);
});

void t.test('whoever has no token for the registry learns and changes nothing', async (t) => {
  const { url } = await startRegistry(t);
  const record = { service: 'payments', modules: ['payments'], public: 'http://127.0.0.1:1', internal: 'http://127.0.0.1:1' };
  const ask = async (method: string, path: string, authorization?: string, body?: unknown): Promise<{ status: number; body: { code?: string } }> => {
    const headers = { ...(authorization && { authorization }), ...(body !== undefined && { 'content-type': 'application/json' }) };
    const answer = await fetch(`${url}${path}`, { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) });
    const text = await answer.text();
    return { status: answer.status, body: text === '' ? {} : (JSON.parse(text) as { code: string }) };
  };
  const good = tokens.bearer({ caller: 'payments', callee: 'registry' });
  const forOther = tokens.bearer({ caller: 'payments', callee: 'orders' });
  for (const bad of [undefined, 'Bearer nonsense', forOther, new ServiceTokens('another secret, as long as the first').bearer({ caller: 'payments', callee: 'registry' })]) {
    t.match(await ask('GET', '/replicas', bad), { status: 401, body: { code: 'UNAUTHENTICATED' } });
    t.equal((await ask('PUT', '/replicas/a', bad, record)).status, 401);
    t.equal((await ask('DELETE', '/replicas/a', bad)).status, 401);
  }
  t.equal((await ask('PUT', '/replicas/a', good, record)).status, 204);
  t.match(await ask('PUT', '/replicas/b', good, { ...record, modules: ['orders'] }), { status: 403, body: { code: 'FORBIDDEN' } });
  t.match(await ask('PUT', '/replicas/b', good, { ...record, public: 'file:///etc/passwd' }), { status: 400, body: { code: 'VALIDATION_FAILED' } });
  const orders = tokens.bearer({ caller: 'orders', callee: 'registry' });
  t.match(await ask('DELETE', '/replicas/a', orders), { status: 403, body: { code: 'FORBIDDEN' } }, 'nor does another service');
  t.equal((await ask('PUT', '/replicas/a', orders, { ...record, modules: ['orders'] })).status, 403);
  t.equal((await ask('DELETE', '/replicas/a', good)).status, 204);
  t.equal((await ask('GET', '/ready')).status, 200, 'that it lives is no secret');
});

/** What stands between a caller and a callee in trouble: breaker, budget of retries, bulkhead. */
import type { ServerResponse } from 'node:http';
import t from 'tap';
import { Call } from '../calls/call.ts';
import { type BreakerState, CalleeGuard } from './callee-guard.ts';
import { nobody, peer, till, tillCallee } from './fixtures.testing.ts';
import { overTheWire, serve } from './placement.testing.ts';
import { RetryBudget } from './retry-budget.ts';

const UNAVAILABLE = JSON.stringify({ code: 'UNAVAILABLE', detail: 'its database is away' });

const call = (ms = 5_000) => Call.root('test', ms);

t.test('a breaker opens after five failures, asks again with one call, and closes', async (t) => {
  const states: BreakerState[] = [];
  const guard = new CalleeGuard('till', (state) => states.push(state));
  let isWell = false;
  let asked = 0;
  const { origin } = await peer(t, (request, reply) => {
    asked += 1;
    if (isWell) reply.writeHead(200, { 'content-type': 'application/json' }).end('{"n":1}');
    else request.socket.destroy();
  });
  const client = overTheWire(t, till, origin, undefined, guard);
  let now = Date.now();
  t.intercept(Date, 'now', { value: () => now });
  const openFor = async (pauseMs: number): Promise<void> => {
    t.equal(guard.state, 'open');
    const before = asked;
    now += pauseMs - 1;
    for (let n = 0; n < 5; n += 1) await t.rejects(client.put({}, call()), { code: 'UNAVAILABLE', message: /again and again/ });
    t.equal(asked, before, `nobody is asked within ${pauseMs} ms`);
    now += 1;
  };

  for (let n = 0; n < 5; n += 1) await t.rejects(client.put({}, call()), { code: 'OUTCOME_UNKNOWN' });
  for (const pauseMs of [500, 1_000, 2_000, 2_000, 2_000, 2_000]) {
    await openFor(pauseMs);
    await t.rejects(client.put({}, call()), { code: 'OUTCOME_UNKNOWN' }, 'the call that tries fails');
  }
  await openFor(2_000);
  isWell = true;
  const [tries, beside] = await Promise.allSettled([client.put({}, call()), client.put({}, call())]);
  t.match(tries, { status: 'fulfilled', value: { n: 1 } });
  t.match(beside, { status: 'rejected', reason: { code: 'UNAVAILABLE' } }, 'one call tries');
  t.same(await client.put({}, call()), { n: 1 });
  t.same(states, ['open', ...Array.from({ length: 6 }, () => ['half-open', 'open']).flat(), 'half-open', 'closed']);
});

t.test('nobody waits for the call that tries, and if its caller gives up nothing was learnt', async (t) => {
  const guard = new CalleeGuard('till', () => undefined);
  let hangs = false;
  const { origin } = await peer(t, (request) => {
    if (!hangs) request.socket.destroy();
  });
  const client = overTheWire(t, till, origin, undefined, guard);
  let now = Date.now();
  t.intercept(Date, 'now', { value: () => now });
  for (let n = 0; n < 5; n += 1) await t.rejects(client.put({}, call()), { code: 'OUTCOME_UNKNOWN' });
  hangs = true;
  now += 500;
  const giveUp = new AbortController();
  const tries = client.put({}, Call.root('test', 5_000, { signal: giveUp.signal }));
  t.equal(guard.state, 'half-open');
  await t.rejects(client.put({}, call()), { code: 'UNAVAILABLE', message: /again and again/ });
  t.equal(guard.state, 'half-open', 'it still tries');
  giveUp.abort();
  await t.rejects(tries, { code: 'CANCELLED' });
  t.equal(guard.state, 'open');
});

t.test('what was begun before the breaker opened does not decide for the call that tries', async (t) => {
  const guard = new CalleeGuard('till', () => undefined);
  const waiting: ServerResponse[] = [];
  let breaks = false;
  const { origin } = await peer(t, (request, reply) => (breaks ? void request.socket.destroy() : void waiting.push(reply)));
  const client = overTheWire(t, till, origin, undefined, guard);
  let now = Date.now();
  t.intercept(Date, 'now', { value: () => now });
  const giveUp = new AbortController();
  const old = Promise.allSettled([client.put({}, Call.root('test', 60_000, { signal: giveUp.signal })), client.put({}, Call.root('test', 60_000))]);
  while (waiting.length < 2) await new Promise((resolve) => setImmediate(resolve));
  breaks = true;
  for (let n = 0; n < 5; n += 1) await t.rejects(client.put({}, call()), { code: 'OUTCOME_UNKNOWN' });
  breaks = false;
  now += 500;
  const tries = client.put({}, call());
  while (waiting.length < 3) await new Promise((resolve) => setImmediate(resolve));
  giveUp.abort();
  waiting[1]!.destroy();
  t.match(await old, [{ reason: { code: 'CANCELLED' } }, { reason: { code: 'OUTCOME_UNKNOWN' } }]);
  t.equal(guard.state, 'half-open');
  waiting[2]!.writeHead(200, { 'content-type': 'application/json' }).end('{"n":1}');
  t.same(await tries, { n: 1 });
  t.equal(guard.state, 'closed');
});

t.test('a refusal, and who gives up, say nothing of the callee\'s health', async (t) => {
  const guard = new CalleeGuard('till', () => undefined);
  const { origin } = await peer(t, (_request, reply) => void reply.writeHead(409, { 'content-type': 'application/json' }).end('{"module":"till","code":"FULL","detail":"it is full"}'));
  const client = overTheWire(t, till, origin, undefined, guard);
  for (let n = 0; n < 10; n += 1) await t.rejects(client.set({ n }, call()), { code: 'FULL' });
  const silent = overTheWire(t, till, (await peer(t, () => undefined)).origin, undefined, guard);
  for (let n = 0; n < 10; n += 1) {
    const giveUp = new AbortController();
    const pending = silent.count({}, Call.root('test', 5_000, { signal: giveUp.signal }));
    giveUp.abort();
    await t.rejects(pending, { code: 'CANCELLED' });
  }
  t.equal(guard.state, 'closed');
});

t.test('retries stay within a tenth of the calls', async (t) => {
  const budget = new RetryBudget();
  let granted = 0;
  for (let n = 0; n < 10_000; n += 1) {
    budget.earn();
    while (budget.spend()) granted += 1;
  }
  t.ok(granted <= 1_010 && granted >= 1_000, `${granted} were granted`);
});

t.test('a callee in trouble is asked at most a tenth more often', async (t) => {
  let asked = 0;
  const { origin } = await peer(t, (request, reply) => {
    asked += 1;
    if (asked % 2 === 0) request.socket.destroy();
    else reply.writeHead(200, { 'content-type': 'application/json' }).end('{"n":1}');
  });
  const client = overTheWire(t, till, origin);
  const calls = 400;
  for (let n = 0; n < calls; n += 1) await client.count({}, call()).catch(() => undefined);
  t.ok(asked > calls && asked <= calls * 1.1 + 10, `${asked} requests for ${calls} calls`);
});

t.test('what an attempt may have done stays in doubt, though the next one did nothing', async (t) => {
  const { origin, server } = await peer(t, (request) => {
    server.close();
    request.socket.destroy();
  });
  await t.rejects(overTheWire(t, till, origin).set({ n: 1 }, call()), { code: 'OUTCOME_UNKNOWN' }, 'it could not be reached again');

  const guard = new CalleeGuard('till', () => undefined);
  const breaking = await peer(t, (request) => void request.socket.destroy());
  const client = overTheWire(t, till, breaking.origin, undefined, guard);
  for (let n = 0; n < 4; n += 1) await t.rejects(client.put({}, call()), { code: 'OUTCOME_UNKNOWN' });
  await t.rejects(client.set({ n: 1 }, call()), { code: 'OUTCOME_UNKNOWN' }, 'the breaker opened under it');
  t.equal(guard.state, 'open');

  const served = await peer(t, (request, reply) => {
    if (request.url!.endsWith('/put') || said++ > 0) reply.writeHead(503, { 'content-type': 'application/json' }).end(UNAVAILABLE);
    else request.socket.destroy();
  });
  let said = 0;
  const other = overTheWire(t, till, served.origin);
  await t.rejects(other.put({}, call()), { code: 'UNAVAILABLE' });
  await t.rejects(other.set({ n: 1 }, call()), { code: 'OUTCOME_UNKNOWN' }, 'the callee lacked somebody the second time');
});

t.test('a callee that hangs takes no more than its share of the callers', async (t) => {
  const guard = new CalleeGuard('till', () => undefined);
  const { origin } = await peer(t, () => undefined);
  const client = overTheWire(t, till, origin, undefined, guard);
  const outcomes = await Promise.all(Array.from({ length: 200 }, async () => client.count({}, call(300)).catch(({ code }: { code: string }) => code)));
  const refused = outcomes.filter((outcome) => outcome === 'UNAVAILABLE').length;
  t.equal(refused, 200 - 128, 'what is more is refused at once');
  t.equal(guard.underWay, 0);
});

t.test('a replica that is away is passed over', async (t) => {
  const callee = tillCallee();
  const client = overTheWire(t, till, [await nobody(), await serve(t, callee)]);
  for (let n = 0; n < 50; n += 1) await client.put({}, call());
  t.equal(callee.state.n, 50, 'commands too: they had not been sent');
});

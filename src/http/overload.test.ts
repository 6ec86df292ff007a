/** Overload is answered, not endured. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import t from 'tap';
import type { RoutesPlugin } from './route.ts';
import { openRequestsLimit, type TestReply, testServer, untilStatus } from './server.testing.ts';

/** Keeps the event loop busy, as a handler would that computes. */
function block(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}

async function untilTrue(check: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error('waited 20 s in vain');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const OPEN = 100;

t.test('a queue for the database that stands', async (t) => {
  let delay = 0;
  let letGo: () => void = () => undefined;
  const released = new Promise<void>((resolve) => (letGo = resolve));
  let held = 0;
  const routes: RoutesPlugin = async (app) => {
    app.get('/held', { config: { access: 'anyone' } }, async () => {
      held += 1;
      await released;
      return {};
    });
    app.get('/quick', { config: { access: 'anyone' } }, async () => ({}));
  };
  const server = await testServer(t, { settings: { OVERLOAD_DELAY_MS: 100 }, databaseDelayMs: () => delay, routes });
  const ask = async (): Promise<TestReply> => server.request('GET', '/api/v1/held');
  const limit = async (): Promise<number> => openRequestsLimit((await server.request('GET', '/metrics')).body);
  const taken = Array.from({ length: OPEN }, ask);
  await untilTrue(() => held === OPEN);
  t.equal(await limit(), Number.POSITIVE_INFINITY, 'a hundred at a time are no overload by themselves');

  delay = 200;
  await untilTrue(async () => (await limit()) < OPEN);
  await t.test('turns away those who come now, at once, and says when to come again', async (t) => {
    const reply = await ask();
    t.equal(reply.status, 503);
    t.match(reply.body, { code: 'UNAVAILABLE', detail: /more to do than can be done/ });
    t.ok(Number(reply.headers.get('retry-after')) > 0);
  });
  await t.test('does not turn away who asks for something else, nor operators', async (t) => {
    t.equal((await server.request('GET', '/api/v1/quick')).status, 200);
    t.equal((await server.request('GET', '/health')).status, 200);
  });
  await t.test('leaves some room however long it is', async () => {
    await untilTrue(async () => (await limit()) === 32);
  });
  letGo();
  t.ok((await Promise.all(taken)).every(({ status }) => status === 200), 'whoever was taken is answered');

  delay = 0;
  await untilTrue(async () => (await limit()) === Number.POSITIVE_INFINITY);
  t.equal((await ask()).status, 200);
  const about = server.lines.filter(({ level }) => level === 'warn');
  t.match(about, [{ msg: /turned away until/ }, { msg: /room again/, refused: 1 }], 'the log tells of the beginning and the end, not of each');
});

t.test('an event loop that is behind with more than it can do', async (t) => {
  const routes: RoutesPlugin = async (app) => {
    app.get('/computes', { config: { access: 'anyone' } }, async () => {
      for (let turn = 0; turn < 10; turn += 1) {
        block(1);
        await nextTurn();
      }
      return {};
    });
  };
  const server = await testServer(t, { settings: { OVERLOAD_DELAY_MS: 100 }, routes });
  const statuses = new Map<number, number>();
  let isOver = false;
  const client = async (): Promise<void> => {
    while (!isOver) {
      const { status } = await server.request('GET', '/api/v1/computes');
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  };
  const clients = Array.from({ length: OPEN }, client);
  await untilTrue(() => statuses.has(503));
  isOver = true;
  await Promise.all(clients);
  t.strictSame([...statuses.keys()].toSorted(), [200, 503]);
  t.equal((await untilStatus(200, async () => server.request('GET', '/api/v1/computes'))).status, 200, 'and recovers');
});

t.test('one long pause is no overload', async (t) => {
  const routes: RoutesPlugin = async (app) => void app.get('/open', { config: { access: 'anyone' } }, async () => ({}));
  const server = await testServer(t, { settings: { OVERLOAD_DELAY_MS: 100 }, routes });
  const replies = Array.from({ length: OPEN }, async () => server.request('GET', '/api/v1/open'));
  block(600);
  t.ok((await Promise.all(replies)).every(({ status }) => status === 200));
});

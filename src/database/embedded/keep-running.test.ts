/** A server that dies under those who live on it comes back, and only there where it was. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { dataFolder, end, outsider, query, serverOf, start } from './embedded.testing.ts';

/** Asks until the server answers. */
async function untilItAnswers<R extends object>(url: string, text: string): Promise<R[]> {
  for (const deadline = Date.now() + 20_000; ; await sleep(20)) {
    try {
      return await query<R>(url, text);
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
}

/** Listens on the port as soon as it is free. */
async function squatOn(port: number): Promise<Server> {
  for (;;) {
    const server = createServer().listen(port, '127.0.0.1');
    const isIn = await once(server, 'listening').then(() => true, () => false);
    if (isIn) return server;
  }
}

t.test('a server that dies while somebody lives on it', async (t) => {
  const dataDir = dataFolder(t);

  for (const signal of ['SIGKILL', 'SIGQUIT', 'SIGINT'] as const) {
    await t.test(`comes back on its port with what was committed, after ${signal}`, async (t) => {
      const lines: string[] = [];
      const embedded = await start(t, dataDir, { lines, durable: true, keepRunning: true });
      await query(embedded.url, 'create table if not exists kept (id int); insert into kept values (1)');
      const { pid } = serverOf(dataDir)!;
      process.kill(pid, signal);
      t.same(await untilItAnswers(embedded.url, `select count(*)::int > 0 as kept from kept where pg_postmaster_start_time() > now() - interval '1 min'`), [{ kept: true }]);
      while (serverOf(dataDir)?.pid === pid || lines.length < 2) await sleep(5);
      t.match(lines, [/has died and is started again/, /is back after/]);
      await embedded.stop();
      t.equal(serverOf(dataDir), undefined, 'stopped, it stays so');
    });
  }

  await t.test('waits for its port when somebody else has taken it', async (t) => {
    const lines: string[] = [];
    const embedded = await start(t, dataDir, { lines, keepRunning: true });
    process.kill(serverOf(dataDir)!.pid, 'SIGKILL');
    const squatter = await squatOn(Number(new URL(embedded.url).port));
    t.teardown(() => squatter.close());
    while (!lines.some((line) => line.includes('does not start'))) await sleep(20);
    squatter.close();
    t.same(await untilItAnswers(embedded.url, 'select 1 as up'), [{ up: 1 }]);
  });

  await t.test('is started by one of two that live on it', async (t) => {
    const other = outsider(dataDir, { keepRunning: true });
    t.teardown(() => other.child.kill('SIGKILL'));
    const { url } = await other.started;
    const embedded = await start(t, dataDir, { keepRunning: true });
    for (let n = 0; n < 3; n += 1) {
      const { pid } = serverOf(dataDir)!;
      process.kill(pid, 'SIGKILL');
      while (!serverOf(dataDir) || serverOf(dataDir)!.pid === pid) await sleep(5);
      t.same(await untilItAnswers(url, 'select 1 as up'), [{ up: 1 }]);
      t.equal(embedded.url, url);
    }
    await end(other.child, 'SIGTERM');
    t.same(await untilItAnswers(url, 'select 1 as up'), [{ up: 1 }], 'it belongs to the one that is left');
  });

  await t.test('stays away when nobody has asked for it', async (t) => {
    const embedded = await start(t, dataDir);
    const { pid } = serverOf(dataDir)!;
    process.kill(pid, 'SIGKILL');
    await sleep(1_000);
    t.equal(serverOf(dataDir)!.pid, pid, 'only its claim is left');
    await t.rejects(query(embedded.url, 'select 1'), { code: 'ECONNREFUSED' });
  });
});

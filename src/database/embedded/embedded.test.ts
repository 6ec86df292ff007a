import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, readdirSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { dataFolder, end, outsider, query, serverOf, start } from './embedded.testing.ts';

const root = process.getuid?.() === 0;

async function settings(url: string, ...names: string[]): Promise<string[]> {
  const columns = names.map((name) => `current_setting('${name}') as ${name}`);
  const [row] = await query<Record<string, string>>(url, `select ${columns.join()}`);
  return names.map((name) => row![name]!);
}

/** Making a cluster is most of the work, so these share one; each begins and ends with the server stopped. */
t.test('on one data folder', async (t) => {
  const dataDir = dataFolder(t);
  const data = join(dataDir, 'postgres/data');

  await t.test('it starts, asks for a password, listens on loopback alone, and stops cleanly', async (t) => {
    const embedded = await start(t, dataDir);
    t.equal(embedded.adopted, false);
    await query(embedded.url, 'create table kept (id int); insert into kept values (7)');
    t.same(await settings(embedded.url, 'listen_addresses', 'wal_level', 'unix_socket_directories'), ['127.0.0.1', 'logical', '']);
    const stranger = new URL(embedded.url);
    stranger.password = 'guessed';
    await t.rejects(query(stranger.href, 'select 1'), { code: '28P01' });
    t.equal(statSync(join(dataDir, 'postgres/password')).mode & 0o777, 0o600);
    await embedded.stop();
    t.equal(serverOf(dataDir), undefined, 'nothing is left running');
  });

  await t.test('it starts again with its data, safe against power loss unless that is given up', async (t) => {
    const embedded = await start(t, dataDir, { durable: true });
    t.same(await query(embedded.url, 'select id from kept'), [{ id: 7 }]);
    t.same(await settings(embedded.url, 'fsync', 'synchronous_commit', 'full_page_writes'), ['on', 'on', 'on']);
  });

  await t.test('a server left over by a killed process is found and adopted', async (t) => {
    const killed = outsider(dataDir);
    const { url } = await killed.started;
    const pid = serverOf(dataDir)!.pid;
    await end(killed.child, 'SIGKILL');
    const next = await start(t, dataDir);
    t.equal(next.adopted, true);
    t.equal(next.url, url, 'its port and password are known');
    t.equal(serverOf(dataDir)!.pid, pid, 'it is the same server');
    t.same(await query(next.url, 'select id from kept'), [{ id: 7 }]);
    await next.stop();
    t.equal(serverOf(dataDir), undefined, 'an adopted server is stopped too');
  });

  await t.test('a claim on the data whose process id belongs to another program now is stale', async (t) => {
    const first = await start(t, dataDir, { durable: true });
    await query(first.url, 'insert into kept values (8)');
    const { uid, gid } = statSync(data);
    const other = spawn('sleep', ['60'], root ? { uid, gid } : {});
    t.teardown(() => other.kill());
    process.kill(serverOf(dataDir)!.pid, 'SIGKILL');
    const claim = readFileSync(join(data, 'postmaster.pid'), 'utf8');
    writeFileSync(join(data, 'postmaster.pid'), claim.replace(/^\d+/, String(other.pid)));

    const next = await start(t, dataDir);
    t.equal(next.adopted, false);
    t.same(await query(next.url, 'select id from kept order by id'), [{ id: 7 }, { id: 8 }], 'what was committed is there');
    t.equal(other.exitCode ?? other.signalCode, null, 'the other program is left alone');
  });

  await t.test('a port that somebody else has taken meanwhile is left to them', async (t) => {
    const first = await start(t, dataDir);
    const port = Number(new URL(first.url).port);
    await first.stop();
    const squatter = createServer().listen(port, '127.0.0.1');
    await once(squatter, 'listening');
    t.teardown(() => squatter.close());
    const next = await start(t, dataDir);
    t.not(Number(new URL(next.url).port), port);
    t.same(await query(next.url, 'select 1 as up'), [{ up: 1 }]);
  });

  await t.test('data of another major version are refused with the way out', async (t) => {
    writeFileSync(join(data, 'PG_VERSION'), '12\n');
    await t.rejects(start(t, dataDir), { name: 'StartError', message: /written by PostgreSQL 12/, remedy: /DATA_DIR/ });
  });
});

t.test('processes that start at the same time share one server; the last one stops it', async (t) => {
  const dataDir = dataFolder(t);
  const all = [outsider(dataDir), outsider(dataDir), outsider(dataDir)];
  const started = await Promise.all(all.map((each) => each.started));
  t.equal(new Set(started.map(({ url }) => url)).size, 1);
  t.same(started.map(({ adopted }) => adopted).sort(), [false, true, true]);
  await end(all[0]!.child, 'SIGTERM');
  await end(all[1]!.child, 'SIGKILL');
  t.same(await query(started[0]!.url, 'select 1 as up'), [{ up: 1 }]);
  await end(all[2]!.child, 'SIGTERM');
  t.equal(serverOf(dataDir), undefined);
});

t.test('a process that is killed while it initialises leaves nothing that stands in the way', async (t) => {
  const dataDir = dataFolder(t);
  const killed = outsider(dataDir);
  killed.started.catch(() => undefined);
  while (!existsSync(dataDir) || !readdirSync(dataDir).some((name) => name.startsWith('.unfinished-'))) await sleep(2);
  await end(killed.child, 'SIGKILL');
  t.notOk(existsSync(join(dataDir, 'postgres')), 'killed before it was complete');
  const next = await start(t, dataDir);
  t.equal(next.adopted, false);
  t.same(await query(next.url, 'select 1 as up'), [{ up: 1 }]);
  t.notOk(readdirSync(dataDir).some((name) => name.startsWith('.unfinished-')));
});

const onLinux = { skip: process.platform !== 'linux' && 'only Linux has /proc' };

t.test('a folder that cannot be made is named, also where Node would try for ever', onLinux, async (t) => {
  await t.rejects(start(t, '/proc/cleave/data'), { name: 'StartError', message: /^the data folder \/proc\/cleave\/data cannot be written to: ENOENT/ });
});

const forRoot = { skip: !root && 'only root can test this' };

t.test('in a folder that only root may enter the data lie outside and the folder links to them', forRoot, async (t) => {
  const dataDir = dataFolder(t, { closed: true });
  const lines: string[] = [];
  const first = await start(t, dataDir, { lines });
  const place = realpathSync(join(dataDir, 'postgres'));
  t.teardown(() => rmSync(dirname(place), { recursive: true, force: true }));
  t.ok(lstatSync(join(dataDir, 'postgres')).isSymbolicLink());
  t.notOk(place.startsWith(dataDir));
  t.match(lines.join('\n'), place);
  await query(first.url, 'create table kept (id int)');
  await first.stop();
  const second = await start(t, dataDir);
  t.same(await query(second.url, 'select count(*)::int as rows from kept'), [{ rows: 0 }]);
  await second.stop();
  rmSync(dirname(place), { recursive: true });
  await t.rejects(start(t, dataDir), { name: 'StartError', message: /does not exist any more/ }, 'data that are gone are not taken for an empty database');
});

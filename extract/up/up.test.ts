/** `up` with real processes: what it says, what it starts again, and that it leaves nothing behind, however it ends. */
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import t from 'tap';
import { freePort } from '../../src/testing/free-port.ts';
import { adminCredentials, shopUrl } from '../demo/admin.ts';
import type { UpReport } from './report.ts';
import { isAlive, oneService, placeFor, untilGone } from './up.testing.ts';

t.setTimeout(400_000);

const place = await placeFor(t);
const { database } = place;

async function isReady(url: string): Promise<boolean> {
  return (await fetch(`${url}/ready`)).ok;
}

void t.test('what dies is started again, and that is said; SIGTERM leaves nothing running', async (t) => {
  const port = await freePort();
  const file = await place.topology(`name: one\n${await oneService(port, `    database: ${database}\n`)}`);
  const up = place.up(['--topology', file], { ADMIN_PASSWORD: '' });
  const [, pid] = await up.says(/shop +catalog .* http:\/\/127\.0\.0\.1:\d+ +http:\/\/127\.0\.0\.1:\d+ +(\d+)\n/);
  await up.says(/To stop {3}Ctrl-C/);
  t.match(up.output(), `Shop      http://127.0.0.1:${port}\n`);
  t.equal(await isReady(`http://127.0.0.1:${port}`), true);

  const env = { DATA_DIR: dirname(file) };
  t.equal(await shopUrl(env), `http://127.0.0.1:${port}`, 'the demo finds the shop');
  const { username, password } = await adminCredentials(env);
  t.match(up.output(), `Administrator: ${username}, password ${password} (shown this once`);
  const signIn = await fetch(`http://127.0.0.1:${port}/api/v1/users/authenticate`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ username, password }) });
  t.equal(signIn.status, 200, 'and its administrator');

  process.kill(Number(pid), 'SIGKILL');
  await up.says(/shop has ended \(SIGKILL\) and is started again in 0\.5 s\n/);
  const [, next] = await up.says(/shop is ready again \(process (\d+)\)\n/);
  t.not(next, pid);
  t.equal(await isReady(`http://127.0.0.1:${port}`), true);

  up.process.kill('SIGTERM');
  t.equal(await up.ended, '0', up.output());
  t.equal(isAlive(Number(next)), false);
});

void t.test('with a registry ports are free ones, and when up is killed all that it started ends', async (t) => {
  const registry = await freePort();
  const file = await place.topology(`name: two\ndiscovery: registry\nregistry:\n  port: ${registry}\n${await oneService(0, `    internalPort: 0\n    replicas: 2\n    database: ${database}\n`)}`);
  const up = place.up(['--topology', file, '--json']);
  const [line] = await up.says(/\{"topology".*\}\n/);
  const report = JSON.parse(line) as UpReport;
  t.equal(report.topology, 'two');
  t.strictSame(report.processes.map(({ name }) => name), ['registry', 'shop-1', 'shop-2']);
  t.equal(new Set(report.processes.map(({ url }) => url)).size, 3);
  for (const { url } of report.processes) t.equal(await isReady(url), true, url);

  const pids = report.processes.map(({ pid }) => pid);
  up.process.kill('SIGKILL');
  t.equal(await up.ended, 'SIGKILL');
  await untilGone(pids);
});

void t.test('a port in use is named with who needs it, and nothing is started', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  t.teardown(() => void taken.close());
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  const up = place.up(['--topology', await place.topology(`name: one\n${await oneService(port)}`)]);
  t.equal(await up.ended, '1');
  t.equal(up.output(), `Cleave cannot start: port ${port} on 127.0.0.1 is in use, and shop needs it.\nStop what listens there, or give the topology other addresses.\n`);
});

void t.test('a database that cannot be reached is named', async (t) => {
  const closed = await freePort();
  const up = place.up(['--topology', await place.topology(`name: one\n${await oneService(await freePort())}`)], { DATABASE_URL: `postgres://shop:secret@127.0.0.1:${closed}/shop` });
  t.equal(await up.ended, '1');
  t.match(up.output(), `Cleave cannot start: the database at 127.0.0.1:${closed} cannot be reached: `);
  t.notMatch(up.output(), /secret|\n {4}at /);
});

void t.test('a service that cannot start says why, and what was started with it is stopped', async (t) => {
  const closed = await freePort();
  const up = place.up(['--topology', await place.topology(`name: one\n${await oneService(await freePort())}`)], { PAYMENTS_DATABASE_URL: `postgres://shop:secret@127.0.0.1:${closed}/shop` });
  t.equal(await up.ended, '1');
  t.match(up.output(), `Cleave cannot start: shop ended before it was ready (exit code 1):\nthe database at 127.0.0.1:${closed}/shop cannot be reached: `);
  t.notMatch(up.output(), /secret|\n {4}at /);
});

void t.test('what makes no sense is refused before anything is started', async (t) => {
  const bad = place.up(['--topology', 'monolith'], { POOL_SIZE: 'many', PORT: '9000' });
  t.equal(await bad.ended, '2');
  t.match(bad.output(), /^PORT is not used: the topology says where to listen\.\nPOOL_SIZE is "many": it must be .*\n$/);
  const unknown = place.up(['--topology', 'macroservices']);
  t.equal(await unknown.ended, '1');
  t.match(unknown.output(), /there is no topology macroservices\.\nName a YAML file, or one of those that ship: .*monolith/);
  const argument = place.up(['monolith']);
  t.equal(await argument.ended, '2');
  t.equal(argument.output(), 'up takes no monolith.\nName the topology with --topology.\n');
});

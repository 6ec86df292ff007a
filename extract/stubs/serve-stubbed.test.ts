/** `serve … --stub-peers` as a process of its own: what it prints is all that one needs to try it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t from 'tap';
import { projectRoot } from '../../src/host/discover.ts';
import { testEnvironment } from '../../src/testing/environment.ts';
import { emptyDatabase, TEST_ROLE_PREFIX } from '../../src/testing/testing.ts';

void t.test('the tokens that are shown are good, and a signal ends it', async (t) => {
  const database = await emptyDatabase();
  t.teardown(() => database.drop());
  const env = { ...process.env, ...testEnvironment, INTERNAL_PORT: '0', DATA_DIR: t.testdir(), DATABASE_ROLE_PREFIX: TEST_ROLE_PREFIX, SHIPPING_DATABASE_URL: database.adminUrl };
  const child = spawn(process.execPath, [join(projectRoot, 'extract', 'extract.ts'), 'serve', 'shipping', '--stub-peers'], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => void child.kill('SIGKILL'));
  const ended = once(child, 'exit');
  const said: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    said.push(line);
    if (said.at(-2)?.startsWith('Token of an admin')) break;
  }
  const url = /public (\S+),/.exec(said.find((line) => line.includes('is up'))!)![1]!;
  t.match(said.find((line) => line.startsWith('Stand-ins answer')), 'Stand-ins answer for catalog, inventory, notifications, orders, payments, recommendations, storefront, support, users; nothing that they say is real.');
  t.ok(said.some((line) => line.startsWith('Stand-ins work on the database that was given: events in it')), 'what that means for it');
  const dispatch = async (whose: string): Promise<number> => {
    const token = said[said.findIndex((line) => line.startsWith(`Token of ${whose}`)) + 1]!.trim();
    const response = await fetch(`${url}/api/v1/shipments/0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10/dispatch`, { method: 'POST', headers: { authorization: `Bearer ${token}` } });
    await response.body?.cancel();
    return response.status;
  };
  t.equal(await dispatch('an admin'), 404);
  t.equal(await dispatch('a customer'), 403);
  child.stdout.resume();
  child.kill('SIGTERM');
  t.strictSame(await ended, [0, null]);
});

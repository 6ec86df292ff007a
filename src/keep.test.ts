/** What is left for tools: for each database its own secrets, and where the shop is. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { announce, keepIn } from './keep.ts';

const read = (folder: string, file: string) => JSON.parse(readFileSync(join(folder, file), 'utf8'));

t.test('each database has secrets of its own', async (t) => {
  const folder = t.testdir({});
  const embedded = { username: 'admin', password: 'of the embedded one' };
  await keepIn(folder).keep('admin', embedded);
  await keepIn(folder, 'postgres://me:secret@db/shop').keep('admin', { username: 'admin', password: 'first' });
  await keepIn(folder, 'postgres://me@db/other').keep('admin', { username: 'admin', password: 'second' });
  t.strictSame(read(folder, 'admin.json'), embedded);
  t.equal(readdirSync(folder).length, 3);
  await keepIn(folder, 'postgres://somebody@db:5432/shop').keep('admin', { username: 'admin', password: 'third' });
  t.equal(readdirSync(folder).length, 3, 'another login to the same database is the same database');
});

t.test('what is not good any more is forgotten, and only that', async (t) => {
  const folder = t.testdir({});
  const keeper = keepIn(folder);
  await keeper.forget('admin', { username: 'admin' });
  await keeper.keep('admin', { username: 'admin', password: 'x' });
  await keeper.forget('admin', { username: 'boss' });
  await keepIn(folder, 'postgres://db/shop').forget('admin', { username: 'admin' });
  t.same(readdirSync(folder), ['admin.json'], 'it is of another account, or of another database');
  await keeper.forget('admin', { username: 'admin' });
  t.same(readdirSync(folder), []);
});

t.test('a shop says where it is until it ends or another one says so', async (t) => {
  const folder = t.testdir({});
  const withdraw = (await announce(folder, 'http://127.0.0.1:18080', 'postgres://db/shop'))!;
  t.match(read(folder, 'running.json'), { url: 'http://127.0.0.1:18080', pid: process.pid, admin: /^admin-[0-9a-f]{8}\.json$/ });
  await withdraw();
  t.same(readdirSync(folder), []);

  const first = (await announce(folder, 'http://127.0.0.1:1'))!;
  writeFileSync(join(folder, 'running.json'), JSON.stringify({ url: 'http://127.0.0.1:2', pid: process.pid + 1, admin: 'admin.json' }));
  await first();
  t.match(read(folder, 'running.json'), { url: 'http://127.0.0.1:2' });
});

t.test('where nothing can be written nothing is told, and no secret is made that would be lost', async (t) => {
  const nowhere = join(t.testdir({ file: '' }), 'file', 'folder');
  t.equal(await announce(nowhere, 'http://127.0.0.1:1'), undefined);
  await t.rejects(keepIn(nowhere).keep('admin', { username: 'admin' }), { name: 'StartError', message: /admin\.json cannot be written/ });
});

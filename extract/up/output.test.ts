import t from 'tap';
import { shown, table } from './output.ts';

void t.test('warnings and worse are shown, in words', async (t) => {
  t.equal(shown('{"level":40,"time":1,"msg":"the relay waits"}', false), 'warn: the relay waits');
  t.equal(shown('{"level":50,"msg":"a task failed","err":{"message":"no such table","stack":"…"}}', false), 'error: a task failed (no such table)');
  t.equal(shown('{"level":30,"msg":"request"}', false), undefined);
  t.equal(shown('users is up after 1.2 s', false), undefined);
});

void t.test('with --logs everything is, as it is', async (t) => {
  for (const line of ['{"level":30,"msg":"request"}', 'users is up after 1.2 s', '{"no":"log line"}', '{ broken']) t.equal(shown(line, true), line);
  t.equal(shown('', true), undefined);
});

void t.test('a table is as wide as what stands in it', async (t) => {
  t.equal(table(['process', 'pid'], [['orders', '12'], ['notifications', '3']]), '  process        pid\n  orders         12\n  notifications  3\n');
});

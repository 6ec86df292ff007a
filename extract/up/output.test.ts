import type { Logger } from 'pino';
import t from 'tap';
import { createLog } from '../../src/log/log.ts';
import { shown, table } from './output.ts';

/** As a process writes it. */
function logged(write: (log: Logger) => void): string {
  const lines: string[] = [];
  write(createLog('trace', { write: (line) => void lines.push(line.trimEnd()) }));
  t.equal(lines.length, 1);
  return lines[0]!;
}

void t.test('warnings and worse are shown, in words', async (t) => {
  t.equal(shown(logged((log) => log.warn('the relay waits')), false), 'warn: the relay waits');
  t.equal(shown(logged((log) => log.error({ err: new Error('no such table') }, 'a task failed')), false), 'error: a task failed (no such table)');
  t.equal(shown(logged((log) => log.fatal('it is over')), false), 'fatal: it is over');
  t.equal(shown(logged((log) => log.info('request')), false), undefined);
  t.equal(shown('users is up after 1.2 s', false), undefined);
});

void t.test('with --logs everything is, as it is', async (t) => {
  for (const line of [logged((log) => log.info('request')), 'users is up after 1.2 s', '{"no":"log line"}', '{ broken']) t.equal(shown(line, true), line);
  t.equal(shown('', true), undefined);
});

void t.test('a table is as wide as what stands in it', async (t) => {
  t.equal(table(['process', 'pid'], [['orders', '12'], ['notifications', '3']]), '  process        pid\n  orders         12\n  notifications  3\n');
});
